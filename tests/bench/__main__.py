"""`python -m tests.bench [NAME...]`: run benchmarks, print a table, write build/bench.json.

The exit code is 1 if a goal is missed.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.rows import Row

NAMES = ("lifecycle", "presign", "sweep", "list", "http", "worker", "probe")
MODULES = {"list": "listing", "http": "serving"}  # these names are taken
OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def main(names: list[str]) -> int:
    console = Console()
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        console.print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
        return 2
    rows: list[Row] = []
    for name in names or NAMES:
        start_s = time.monotonic()
        console.print(f"{name} ...", end=" ")
        rows += importlib.import_module(f"tests.bench.{MODULES.get(name, name)}").run()
        console.print(f"{time.monotonic() - start_s:.0f} s")
    console.print(_table(rows))
    OUTPUT.parent.mkdir(exist_ok=True)
    OUTPUT.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if all(row["ok"] for row in rows) else 1


def _table(rows: list[Row]) -> Table:
    table = Table("benchmark", "value", "unit", "goal", "")
    table.columns[1].justify = "right"
    for row in rows:
        met = "" if not row["goal"] else "[green]ok[/]" if row["ok"] else "[red]missed[/]"
        table.add_row(str(row["name"]), f"{row['value']:,}", str(row["unit"]), str(row["goal"]), met)
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
