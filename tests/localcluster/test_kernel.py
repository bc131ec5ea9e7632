"""What runs in the cluster's pods, looked at while they end."""

from __future__ import annotations

import pathlib
import shutil
import threading

import pytest

import kernel


def test_cgroups_that_go_while_they_are_looked_at_are_passed_over(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cgroup.controllers").touch()
    monkeypatch.setattr(kernel, "CGROUPS", tmp_path)
    top = tmp_path / kernel.CGROUP
    top.mkdir()
    (top / "cgroup.procs").write_text("17\n")
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            for number in range(20):
                (top / f"pod{number}/container").mkdir(parents=True)
            for number in range(20):
                shutil.rmtree(top / f"pod{number}")

    pods = threading.Thread(target=churn)
    pods.start()
    try:
        assert all(kernel.pod_processes() == [17] for _ in range(300))
    finally:
        stop.set()
        pods.join()
