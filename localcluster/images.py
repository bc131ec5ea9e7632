"""Builds the images, without any registry, and only when something that goes into them has changed."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import freshness
import lock
import preparations
import recipes
import requirements
from console import ProblemError, step
from layout import REPOSITORY, Layout, write
from oci import Image
from recipes import Recipe

# Of the host's, not of the cache's: after a reboot nothing in it may be left.
RUN = "/run/modeldata-images"

MODIFIED = 1_600_000_000
"""When everything that is copied into an image was last modified; with ``one_time``, everything in it."""


def build(layout: Layout, name: str) -> Image:
    """The image of this recipe, built if it is not fresh."""
    requirements.need_root()
    requirements.need(requirements.IMAGES)
    with lock.held(layout.cache / "images.lock", "another build of images"):
        return _fresh(layout, recipes.named(name))


def _fresh(layout: Layout, recipe: Recipe) -> Image:
    base = _fresh(layout, recipes.named(recipe.base)) if recipe.base else None
    text = recipes.containerfile(recipe)
    sources = [source for source in recipes.copied(text) if (REPOSITORY / recipe.context / source).exists()]
    inputs = freshness.of(_other_inputs(recipe, base, text), REPOSITORY / recipe.context, sources)

    record = layout.cache / "images" / f"{recipe.name}.json"
    before = _read(record)
    if before.get("inputs") == inputs:
        image = Image(recipe.image, before["digest"], _oci(layout))
        if image.complete():
            return image
    image = _build(layout, recipe, base, sources)
    write(record, json.dumps({"inputs": inputs, "digest": image.digest, "id": _id(layout, recipe)}))
    _discard(layout, before.get("id"))
    return image


def _other_inputs(recipe: Recipe, base: Image | None, text: str) -> list[str]:
    """What an image depends on besides the files that it copies."""
    inputs = [text, base.digest if base else "", " ".join(recipe.debian)]
    if recipe.one_time:
        inputs.append(str(MODIFIED))
    if recipe.c_program:
        inputs.append((REPOSITORY / recipe.context / recipe.c_program).read_text())
    if recipe.npm:
        inputs.append((REPOSITORY / recipe.context / "package-lock.json").read_text())
    if recipe.python:
        inputs += preparations.python_requirements(recipe.python)
        inputs.append((REPOSITORY / recipe.python.constraints).read_text())
    return inputs


def _build(layout: Layout, recipe: Recipe, base: Image | None, sources: list[str]) -> Image:
    with step(f"building {recipe.image}"):
        bud(layout, recipe, base, sources, tag=recipe.image)
        return Image(recipe.image, _push(layout, recipe), _oci(layout))


def bud(layout: Layout, recipe: Recipe, base: Image | None, sources: list[str], *more: str, tag: str) -> None:
    """Has buildah build the image, with these further options, under this name."""
    options: list[str] = list(more)
    extra: list[Path] = []
    if base:
        options += ["--build-arg", f"BASE={base.name}"]
    if recipe.debian:
        extra += preparations.debian(layout, recipe).iterdir()
    if recipe.c_program:
        extra += preparations.c_program(layout, recipe, recipe.c_program).iterdir()
    if recipe.npm:
        extra.append(preparations.node_modules(layout, recipe) / "node_modules")
    if recipe.python:
        wheels = preparations.wheels(layout, recipe, recipe.python)
        options += ["--build-arg", "PIP_ARGS=--no-index --find-links /wheels", "--volume", f"{wheels}:/wheels:ro"]
    if recipe.one_time:
        options += ["--timestamp", str(MODIFIED)]
    context = _context(layout, recipe, sources, extra)
    file = str(REPOSITORY / recipe.containerfile)
    buildah(layout, "bud", "--layers", "--pull-never", "--file", file, "--tag", tag, *options, str(context))
    shutil.rmtree(context)


def _context(layout: Layout, recipe: Recipe, sources: list[str], extra: list[Path]) -> Path:
    """A directory with just what the Containerfile copies: so the image can't hold what its hash does not know."""
    context = layout.cache / "images" / "context"
    shutil.rmtree(context, ignore_errors=True)
    root = REPOSITORY / recipe.context
    context.mkdir(parents=True)
    for source in sources:
        for path in freshness.files(root / source):
            target = context / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    for path in extra:
        if path.is_dir():
            shutil.copytree(path, context / path.name, symlinks=True)
        else:
            (context / path.name).hardlink_to(path)
    # buildah takes a file of another time for another file, so a fresh clone would build every layer again.
    for directory, _, names in os.walk(context):
        for path in (Path(directory), *(Path(directory, name) for name in names)):
            os.utime(path, (MODIFIED, MODIFIED), follow_symlinks=False)
    return context


def _push(layout: Layout, recipe: Recipe) -> str:
    """Puts the image into the OCI layout, where a layer lies once however many images have it. Returns its digest."""
    pushed = layout.cache / "images" / "pushed"
    shutil.rmtree(pushed, ignore_errors=True)
    # Not straight into the layout (`oci:`): there buildah compresses every layer at every push, for 10 s and more.
    options = ("--quiet", "--disable-compression", "--format", "oci")
    buildah(layout, "push", *options, recipe.image, f"dir:{pushed}")
    blobs = _oci(layout) / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    manifest = (pushed / "manifest.json").read_bytes()
    digest = hashlib.sha256(manifest).hexdigest()
    (pushed / "manifest.json").rename(blobs / digest)
    for blob in pushed.iterdir():
        if re.fullmatch("[0-9a-f]{64}", blob.name):
            blob.rename(blobs / blob.name)
    shutil.rmtree(pushed)
    return f"sha256:{digest}"


def _id(layout: Layout, recipe: Recipe) -> str:
    return buildah(layout, "inspect", "--type", "image", "--format", "{{.FromImageID}}", recipe.image).strip()


def _discard(layout: Layout, image_id: str | None) -> None:
    """Drops the former image and all layers that no image has any more: the cache must not grow with every change."""
    if image_id:
        with contextlib.suppress(ProblemError):  # a later image is built on it, or it is the same
            buildah(layout, "rmi", image_id)
    kept = set()
    for recipe in recipes.ALL:
        record = _read(layout.cache / "images" / f"{recipe.name}.json")
        image = Image(recipe.image, record.get("digest", ""), _oci(layout))
        if image.complete():
            kept.update(image.blobs())
    for blob in (_oci(layout) / "blobs" / "sha256").iterdir():
        if f"sha256:{blob.name}" not in kept:
            blob.unlink()


def _oci(layout: Layout) -> Path:
    return layout.cache / "images" / "oci"


def buildah(layout: Layout, *arguments: str) -> str:
    """Runs buildah in a store of our own, whatever the user's containers are configured to be."""
    home = layout.cache / "images"
    policy = home / "policy.json"
    write(policy, '{"default": [{"type": "insecureAcceptAnything"}]}')
    storage = home / "storage.conf"
    # skip_mount_home: else a bind mount of the store on itself stays behind.
    write(
        storage,
        f'[storage]\ndriver = "overlay"\nrunroot = "{RUN}"\ngraphroot = "{home}/storage"\n'
        '[storage.options.overlay]\nskip_mount_home = "true"\n',
    )
    environment = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",  # needs neither namespaces nor a container runtime
        "CONTAINERS_STORAGE_CONF": str(storage),
    }
    verb = arguments[0]
    checked = ["--signature-policy", str(policy)] if verb in {"bud", "push"} else []
    command = ["buildah", verb, *checked, *arguments[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProblemError(f"`buildah {verb}` failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _read(record: Path) -> dict[str, str]:
    try:
        read: dict[str, str] = json.loads(record.read_text())
    except (OSError, ValueError):
        return {}
    return read
