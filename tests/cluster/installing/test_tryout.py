"""README's five commands, as they stand there: from a cluster without an operator to a table of what a model saw."""

from __future__ import annotations

import ast
import pathlib
import re
import time
import typing

import pytest

from ...docs.pages import blocks
from ..installation import left
from ..shell import Shell

IMAGES, TRYOUT, _ = blocks("sh", "localcluster", page="README.md")
COMMANDS = TRYOUT.text.splitlines()
ORDER = re.compile(r"(order-\d+-\d+): (\[\[.*\]\]) -> (\[.*\])")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def shell(
    cluster: typing.Any,
    namespace: str,
    tmp_path: pathlib.Path,
) -> typing.Iterator[Shell]:
    """In a cluster that never had the operator."""
    cluster.kubectl("delete", "crd", "datacollections.modeldata.dev", "storagegrants.modeldata.dev")
    made = Shell(cluster, tmp_path, namespace)
    made(IMAGES.text)
    yield made
    made("helm uninstall modeldata --namespace modeldata-system --ignore-not-found --wait --timeout 120s")


def test_five_commands_lead_to_a_table_of_collected_rows(
    cluster: typing.Any, shell: Shell, eventually: typing.Any
) -> None:
    assert len(COMMANDS) == 5
    began = time.monotonic()
    *_, asked = [shell(command) for command in COMMANDS[:4]]
    orders = {name: (ast.literal_eval(rows), ast.literal_eval(risks)) for name, rows, risks in ORDER.findall(asked)}
    assert len(orders) == 20
    said = {
        (f"{name}-{index}" if len(rows) > 1 else name): (*map(float, row), risk)
        for name, (rows, risks) in orders.items()
        for index, (row, risk) in enumerate(zip(rows, risks, strict=True))
    }

    def table() -> dict[str, tuple[float, ...]]:
        lines = re.findall(r"\s(order-\S+)\s+([\d.]+)\s+([\d.]+)\s+([\d.e-]+)$", shell(COMMANDS[4], check=False), re.M)
        found = {name: (float(age), float(tenure), float(risk)) for name, age, tenure, risk in lines}
        return {name: row for name, row in found.items() if name in said}  # a kept cluster has more

    eventually(lambda: len(table()) == len(said))
    print(f"from nothing to a table: {time.monotonic() - began:.1f} s")
    assert table() == {name: pytest.approx(row, abs=1e-5) for name, row in said.items()}
    shell("helm uninstall modeldata --namespace modeldata-system --wait --timeout 120s")
    assert left(cluster) == []
