"""Rewrites what the documents repeat from the code: `python -m orchestrator.docs [--check]`.

A document marks such a block with `<!-- generated: NAME -->` and `<!-- /generated -->`; BLOCKS says what stands there.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.domain import render
from orchestrator.settings.render import default_toml, settings_table

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENTS: Final = ("README.md", "docs/lifecycle.md", "config/README.md")

BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "lifecycle-diagram": render.lifecycle_diagram,
    "phases": render.phases_table,
    "states": render.states_table,
    "transitions": render.transitions_table,
    "settings": settings_table,
}
WHOLE: Final[Mapping[str, Callable[[], str]]] = {"config/default.toml": default_toml}  # generated to the last line

_BLOCK: Final = re.compile(r"<!-- generated: (?P<name>[\w-]+) -->\n.*?<!-- /generated -->", re.DOTALL)


def rewritten(text: str, blocks: Mapping[str, Callable[[], str]] = BLOCKS) -> str:
    """`text` with every generated block made anew.

    Raises:
        ValueError: a marker names no block, or is not closed before the next one.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in blocks:
            raise ValueError(f"no generated block is named {name!r}; there are {', '.join(sorted(blocks))}")
        return f"<!-- generated: {name} -->\n{blocks[name]()}\n<!-- /generated -->"

    opened, found = text.count("<!-- generated:"), _BLOCK.findall(text)
    if opened != len(found):
        raise ValueError(f"{opened} blocks are opened, {len(found)} are well-formed and closed")
    return _BLOCK.sub(block, text)


def stale(root: Path) -> dict[Path, str]:
    """Documents under `root` that are not current, with what they should say. Absent ones are passed over."""
    fresh: dict[Path, str] = {}
    for path in (root / name for name in DOCUMENTS):
        if path.exists():
            text = path.read_text(encoding="utf-8")
            try:
                new = rewritten(text)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            if new != text:
                fresh[path] = new
    for path, make in ((root / name, make) for name, make in WHOLE.items()):
        if path.exists() and path.read_text(encoding="utf-8") != (new := make()):
            fresh[path] = new
    return fresh


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Exit code: 0 when all documents are current at the end, 1 when `--check` finds one that is not."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.docs", description="Rewrite generated blocks.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a document is not current")
    check = parser.parse_args(arguments).check
    fresh = stale(root)
    for path, text in fresh.items():
        if check:
            sys.stderr.write(f"{path.relative_to(root)} is not current: run python -m orchestrator.docs\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(root)} rewritten\n")
    return 1 if check and fresh else 0


if __name__ == "__main__":
    sys.exit(main())
