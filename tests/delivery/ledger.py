"""Which rows must be in Blob Storage, and whether they are: each once, whole, under one header."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import json
import re
import zlib

LEADING = ["$Timestamp", "$CorrelationId", "$RequestId"]
FEATURES = ["life", "call", "row", "text", "nested"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What each process collects: all of it follows from the seed."""

    seed: int
    most_rows: int
    """In a call."""

    def rows(self, life: int, call: int) -> list[list[object]]:
        """Return the rows of one call."""
        drawn = zlib.crc32(f"{self.seed}/{life}/{call}".encode())
        return [[life, call, row, *_cells(drawn, row)] for row in range(1 + drawn % self.most_rows)]


def _cells(drawn: int, row: int) -> tuple[str, object]:
    # All that tears a row where quoting or cutting is wrong: separators, line ends, quotes, several bytes a character.
    return 'x,"\r\né' * ((drawn + row) % 4), {"n": [drawn, row]} if (drawn + row) % 5 == 0 else None


@dataclasses.dataclass
class Verdict:
    """What was found in Blob Storage."""

    files: int = 0
    rows: int = 0
    bytes: int = 0
    violations: list[str] = dataclasses.field(default_factory=list)


def check(plan: Plan, returned: dict[int, int], files: dict[str, str], *, refused_header: bool = False) -> Verdict:
    """Compare files with what was collected.

    A call counts if it had returned: its rows must be there. Of a process that was killed, one call more may be there,
    as it may have been killed when the rows were safe and the call had not returned.

    Args:
        plan: what was collected.
        returned: by life, how many of its calls had returned.
        files: each file's text, by its name.
        refused_header: whether storage made files that it then let nobody write: one of each kind may be left empty.

    """
    verdict = Verdict(len(files))
    verdict.violations += _left_empty(files, most=1 if refused_header else 0)
    seen: dict[tuple[int, int], list[int]] = collections.defaultdict(list)
    requests: dict[str, tuple[int, int]] = {}
    for name, text in files.items():
        verdict.bytes += len(text.encode())
        _check_file(plan, name, text, seen, requests, verdict)
    for (life, call), rows in seen.items():
        expected = len(plan.rows(life, call))
        if sorted(rows) != list(range(expected)):
            twice = len(rows) - len(set(rows))
            verdict.violations.append(f"life {life}, call {call}: {len(rows)} of {expected} rows, {twice} twice")
        if call > returned.get(life, -1):
            verdict.violations.append(f"life {life}, call {call}: was never made")
    calls = collections.Counter(life for life, _ in seen)
    for life, count in returned.items():
        missing = [call for call in range(count) if (life, call) not in seen] if calls[life] < count + 1 else []
        if missing:
            verdict.violations.append(f"life {life}: {len(missing)} of {count} calls lost, such as {missing[:5]}")
    return verdict


def _left_empty(files: dict[str, str], *, most: int) -> list[str]:
    """Return what is wrong with the files that nobody has written to: of one folder and kind, there is one at most."""
    kinds = collections.Counter(re.sub(r"(\.\d+)?\.csv$", "", name) for name, text in files.items() if not text)
    return [f"{kind}: {count} files are empty" for kind, count in kinds.items() if count > most]


def _check_file(
    plan: Plan,
    name: str,
    text: str,
    seen: dict[tuple[int, int], list[int]],
    requests: dict[str, tuple[int, int]],
    verdict: Verdict,
) -> None:
    if not text:
        return
    if not text.endswith("\r\n"):
        verdict.violations.append(f"{name}: torn at the end")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    if next(lines, None) != LEADING + FEATURES:
        verdict.violations.append(f"{name}: no header")
    wanted: dict[tuple[int, int], list[list[object]]] = {}
    for line in lines:
        verdict.rows += 1
        if len(line) != len(LEADING + FEATURES) or not (line[3] + line[4] + line[5]).isdigit():
            verdict.violations.append(f"{name}: no row of ours: {line[:6]}")
            continue
        key, row = (int(line[3]), int(line[4])), int(line[5])
        if key not in wanted:
            wanted.clear()  # rows of a call follow one another
            wanted[key] = plan.rows(*key)
        expected = wanted[key]
        seen[key].append(row)
        if row >= len(expected) or line[3:] != [_text(cell) for cell in expected[row]]:
            verdict.violations.append(f"{name}: life {key[0]}, call {key[1]}, row {row} is torn")
        request, _, suffix = line[2].rpartition("-") if len(expected) > 1 else (line[2], "", str(row))
        if suffix != str(row) or requests.setdefault(request, key) != key:
            verdict.violations.append(f"{name}: life {key[0]}, call {key[1]}, row {row} has the id {line[2]}")


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return json.dumps(cell, separators=(",", ":")) if isinstance(cell, dict) else str(cell)
