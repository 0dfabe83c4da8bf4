"""Two small checks on files, for pre-commit: `python -m tests.hygiene whitespace|large-files FILE...`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

LARGEST_BYTES = 500 * 1024


def whitespace(path: Path) -> str | None:
    """What is wrong with the ends of its lines, None if nothing."""
    text = path.read_bytes()
    for number, line in enumerate(text.split(b"\n"), start=1):
        if line != line.rstrip():
            return f"{path}:{number}: spaces at the end of the line"
    if text and (not text.endswith(b"\n") or text.endswith(b"\n\n")):
        return f"{path}: the file must end with exactly one newline"
    return None


def large_files(path: Path) -> str | None:
    """That it is too large, None if it is not."""
    size = path.stat().st_size
    return f"{path}: {size} bytes, at most {LARGEST_BYTES} are allowed" if size > LARGEST_BYTES else None


CHECKS: dict[str, Callable[[Path], str | None]] = {"whitespace": whitespace, "large-files": large_files}


def main(check: str, names: Sequence[str]) -> int:
    paths = [path for path in map(Path, names) if path.is_file()]
    found = [trouble for path in paths if (trouble := CHECKS[check](path))]
    sys.stdout.writelines(f"{trouble}\n" for trouble in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
