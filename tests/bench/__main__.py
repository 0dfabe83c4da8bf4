"""`python -m tests.bench [NAME...]`: run benchmarks, print a table, write build/bench.json."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.rows import Row

# What each measures. Most take minutes: they fill tables with a million jobs, or wait for real workers.
BENCHES = {
    "lifecycle": "jobs a second on real workers, against a typical Celery app and against plain SQL",
    "presign": "URLs of parts, against boto3",
    "sweep": "claiming what is due, and finding nothing due, as the table grows",
    "list": "first and deep pages, filters and totals as the table grows",
    "http": "Show and List through both vendors' APIs, against a bare endpoint",
    "worker": "memory of a worker process, idle and after ten thousand jobs",
    "probe": "bytes, requests, time and memory of a verdict on a two-gigabyte video",
}
MODULES = {"list": "listing", "http": "serving"}  # these names are taken
OUTPUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="./run bench", description="Measure, print a table, write build/bench.json. Exit code 1: a goal missed.",
        epilog="\n".join(f"  {name:10} {what}" for name, what in BENCHES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("names", nargs="*", metavar="NAME", help="one of those below; none: all of them")
    names = parser.parse_args(arguments).names
    if unknown := sorted(set(names) - set(BENCHES)):
        parser.error(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    console = Console()
    rows: list[Row] = []
    for name in names or BENCHES:
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
