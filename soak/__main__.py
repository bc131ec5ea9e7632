"""A long run of what the tests do in a minute: pods killed at random, every fault, Azurite restarted, each row once.

    make soak
    make soak SOAK="--close --rows 20000"
    .venv/bin/python soak --rows 100000 --seed 7 --file PerPod
    .venv/bin/python soak --directory

With ``--directory`` rows go to a directory of this machine, and a reader looks all the time.

With ``--close`` the day is closed all the while by closers that are killed too, and a reader looks; what is compared at
the end is what is closed, when the raw files are gone.

Exit code 1 where a row was lost, repeated or torn, or a file has not just one header, or a reader saw such a thing.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import random
import shutil
import sys
import tempfile
import time
import types

# As pytest sees them, and without the repository's root among the paths: its operator/ would take Python's place.
tests = types.ModuleType("tests")
tests.__path__ = [str(pathlib.Path(__file__).resolve().parent.parent / "tests")]
sys.modules["tests"] = tests

from tests import conftest  # noqa: E402
from tests.analytics import closing_fleet  # noqa: E402
from tests.delivery import directories, fleet, ledger  # noqa: E402

PROGRESS_SECONDS = 10.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="to be collected in all, at least")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument(
        "--file", choices=["Shared", "PerPod"], help="one kind of file; otherwise half of the rows each"
    )
    parser.add_argument("--directory", action="store_true", help="a directory in the place of storage")
    parser.add_argument("--close", action="store_true", help="close the day meanwhile")
    options = parser.parse_args()
    files = [options.file] if options.file else ["Shared", "PerPod"]
    if options.directory:
        return _directories(options.seed, options.rows // len(files), files)
    print(
        f"seed {options.seed}: {options.rows} rows, {fleet.PODS} pods of {fleet.PROCESSES} processes each", flush=True
    )
    results = [_course(options.seed, options.rows // len(files), file, close=options.close) for file in files]
    print(
        f"\n{'':8}{'rows':>10}{'MB':>7}{'files':>7}{'s':>7}{'kills':>7}{'of shippers':>13}{'restarts':>10}{'faults':>8}"
    )
    for file, (ours, verdict, seconds) in zip(files, results, strict=True):
        faults = sum(ours.happened.values())
        print(
            f"{file:8}{verdict.rows:10}{verdict.bytes / 1e6:7.1f}{verdict.files:7}{seconds:7.0f}{ours.kills:7}"
            f"{ours.shippers_killed:13}{ours.restarts:10}{faults:8}"
        )
    violations = [
        f"{file}: {each}" for file, (_, verdict, _) in zip(files, results, strict=True) for each in verdict.violations
    ]
    print("\n".join(violations[:50]) or "none lost, none twice, none torn, one header a file")
    enough = sum(verdict.rows for _, verdict, _ in results) >= options.rows
    return 0 if not violations and enough else 1


def _course(seed: int, rows: int, file: str, *, close: bool) -> tuple[fleet.Fleet, ledger.Verdict, float]:
    course = fleet.Course(rows=rows, file=file, calls=60, most_rows=100, pause=0.4, restarts=20.0, kills=0.3)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="modeldata-soak-"))
    started = time.monotonic()
    kind = closing_fleet.ClosingFleet if close else fleet.Fleet
    ours = kind(conftest.find_azurite(), conftest.AZURITE_KEY, directory, seed=seed, course=course)
    try:
        verdict = ours.run(_Progress(ours, file, started), drain_seconds=600)
    except TimeoutError as error:
        verdict = ledger.Verdict(violations=[f"not delivered: {error}"])
    finally:
        ours.close()
    print(f"{file}: {ours.happened}", flush=True)
    if isinstance(ours, closing_fleet.ClosingFleet):
        verdict.violations += ours.wrong
        counted = ", ".join(f"{code}: {count}" for code, count in sorted(collections.Counter(ours.codes).items()))
        print(f"{file}: {ours.reads} reads; closers by exit code: {counted}", flush=True)
    if not verdict.violations:
        shutil.rmtree(directory)
    else:
        print(f"{file}: spools and storage are kept in {directory}")
    return ours, verdict, time.monotonic() - started


def _directories(seed: int, rows: int, files: list[str]) -> int:
    violations = []
    for file in files:
        course = fleet.Course(rows=rows, file=file, calls=60, most_rows=100, pause=0.1, restarts=0, kills=0.3)
        directory = pathlib.Path(tempfile.mkdtemp(prefix="modeldata-soak-"))
        outcome = directories.run(
            directory, seed=seed, course=course, pods=fleet.PODS, processes=fleet.PROCESSES // 2, drain_seconds=600
        )
        found = outcome.verdict.violations + outcome.reader.violations
        violations += found
        print(
            f"seed {seed}, {file}: {outcome.verdict.rows} rows in {outcome.verdict.files} files, {outcome.kills} kills,"
            f" {outcome.amid} of them with an append unfinished; {outcome.reader.looks} looks, {outcome.reader.cut} of"
            f" them with the last row cut",
            flush=True,
        )
        if found:
            print(f"spools and rows are kept in {directory}")
        else:
            shutil.rmtree(directory)
    print("\n".join(violations[:50]) or "none lost, none twice, none torn, one header a file, none seen has gone")
    return 1 if violations else 0


class _Progress:
    """Prints a line now and then."""

    def __init__(self, ours: fleet.Fleet, file: str, started: float) -> None:
        self._ours = ours
        self._file = file
        self._started = self._said = started

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._said < PROGRESS_SECONDS:
            return
        self._said = now
        ours = self._ours
        faults = sum(ours.happened.values())
        print(
            f"{self._file} {now - self._started:5.0f} s: about {ours.rows:.0f} rows collected, "
            f"{ours.waiting / 1e6:.1f} MB wait, {ours.kills} kills, {ours.restarts} restarts, {faults} faults",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
