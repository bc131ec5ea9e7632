"""Whether an image must be built again: a hash over all that goes into it."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

# Python and npm leave these beside sources; none of them belongs into an image.
PASSED_OVER = frozenset({"__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache", "dist", "build"})


def of(texts: Iterable[str], context: Path, sources: Iterable[str]) -> str:
    """The hash of these texts and of the files of these sources, by path, content and whether they can be executed."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(f"{len(text.encode())}:{text}\n".encode())
    for source in sources:
        digest.update(f"source {source}\n".encode())
        for path in files(context / source):
            content = path.read_bytes()
            kind = "x" if path.stat().st_mode & 0o100 else "-"
            digest.update(f"{path.relative_to(context)} {kind} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def files(path: Path) -> Iterator[Path]:
    """The files at or below a path, in the same order on every machine."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for entry in sorted(path.iterdir()):
            if entry.name not in PASSED_OVER and not entry.name.endswith((".egg-info", ".pyc")):
                yield from files(entry)
