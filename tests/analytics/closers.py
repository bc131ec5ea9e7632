"""Closers as processes that can be killed, and a reader that looks meanwhile."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import typing

from modeldata_analytics.days import manifest, template
from modeldata_analytics.storage import Blobs, Missing

from . import stores

HERE = pathlib.Path(__file__).resolve().parent


class Closers:
    """Starts closers, one after the other."""

    def __init__(self, scratch: pathlib.Path, **what: typing.Any) -> None:
        self._what = {"scratch": str(scratch), "path": stores.PATH.text, "now": stores.NOW.isoformat(), **what}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "closing_processes.py")],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.running = 0
        """The process that closes."""

    def start(self, **more: typing.Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({**self._what, **more}) + "\n")
        self._process.stdin.flush()
        self.running = int(self._said())

    def end(self) -> int:
        """Wait for it; return its exit code, a negative number for a signal."""
        return int(self._said())

    def run(self, **more: typing.Any) -> int:
        self.start(**more)
        return self.end()

    def kill(self) -> None:
        os.kill(self.running, signal.SIGKILL)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _said(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Reader:
    """Reads a day both ways by the rule of docs/closing.md, and notes what a reader must never see."""

    def __init__(self, store: Blobs, day: template.Day) -> None:
        self._store, self._day = store, day
        self._seen: dict[str, set[str]] = {}
        self.reads = 0
        self.wrong: list[str] = []

    def look(self) -> None:
        """Read once each way."""
        for way, read in (("CSV", self._by_csv), ("Parquet", self._by_parts)):
            # It begins again where something was replaced in between: a few times.
            keys = next((found for _ in range(50) if (found := read()) is not None), None)
            if keys is None:
                self.wrong.append(f"{way}: what is there fits no pass of the manifest")
            else:
                self.see(way, keys)

    def see(self, way: str, keys: list[str]) -> None:
        """Note what was read."""
        self.reads += 1
        counted = collections.Counter(keys)
        twice = [key for key, count in counted.items() if count > 1]
        seen = self._seen.setdefault(way, set())
        gone = seen - set(counted)
        if twice or gone:
            self.wrong.append(f"{way}, read {self.reads}: twice {sorted(twice)[:5]}, gone {sorted(gone)[:5]}")
        seen |= set(counted)

    def _manifest(self) -> manifest.Manifest:
        found = self._store.get(self._day.manifest)
        return manifest.Manifest() if found is None else manifest.read(found.data)

    def _by_csv(self) -> list[str] | None:
        told = self._manifest()
        closed = self._store.get(self._day.closed)
        number = 0 if closed is None else int(closed.metadata["pass"])
        if told.next is not None and number == told.next.number:
            told = told.advanced()
        if number != told.number:
            return None
        rows = [] if closed is None else _keys(*stores.parsed(closed.data))
        return self._with_tails(rows, told)

    def _by_parts(self) -> list[str] | None:
        told = self._manifest()
        filled = stores.Filled(self._store)
        parts = [filled.part(f"{self._day.parts}/{part.name}") for part in told.parts]
        rows = [key for part in parts for key in part["$RequestId"].to_pylist()]
        return self._with_tails(rows, told)

    def _with_tails(self, rows: list[str], told: manifest.Manifest) -> list[str] | None:
        for file in self._store.files(f"{self._day.folder}/"):
            last = file.name.rpartition("/")[2]
            covered = told.covered(last, file.created)
            if not template.is_raw(last) or covered >= file.size:
                continue
            try:
                content = b"".join(self._store.read(file.name, 0, file.size))
            except Missing:
                return None
            header, *whole = stores.records(content)
            rows = rows + _keys(header, stores.records(content[covered:]) if covered else whole)
        return rows


def _keys(header: stores.Row, rows: list[stores.Row]) -> list[str]:
    place = header.index("$RequestId")
    return [str(each[place]) for each in rows]
