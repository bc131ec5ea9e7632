"""Built anew, without any layer of before, the operator's image has the same layers, to the byte."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "localcluster"))

import images  # noqa: E402
import layout  # noqa: E402
import lock  # noqa: E402
import recipes  # noqa: E402

AGAIN = "localhost/modeldata-operator:again"


@pytest.mark.images
@pytest.mark.timeout(900)
def test_the_operators_image_is_the_same_when_it_is_built_again() -> None:
    where = layout.from_environment()
    recipe = recipes.named("operator")
    first, base = images.build(where, "operator"), images.build(where, "python")
    with lock.held(where.cache / "images.lock", "another build of images"):
        sources = recipes.copied(recipes.containerfile(recipe))
        images.bud(where, recipe, base, sources, "--no-cache", tag=AGAIN)
        try:
            again = json.loads(images.buildah(where, "inspect", "--type", "image", AGAIN))["OCIv1"]
        finally:
            images.buildah(where, "rmi", AGAIN)
    manifest = json.loads(first.path(first.digest).read_text())
    before = json.loads(first.path(manifest["config"]["digest"]).read_text())
    # Not the history: it has the time of each step, of those too that were not done again.
    assert again["rootfs"] == before["rootfs"]
    assert again["config"] == before["config"]
