import subprocess
import sys

import pytest
import typer

from orchestrator.cli.failures import Exit
from orchestrator.cli.main import app, run

HEAVY = ("sqlalchemy", "celery", "boto3", "av", "numpy", "fastapi", "httpx", "psycopg", "rich.progress")


@pytest.mark.parametrize("arguments", [["--help"], ["job", "upload", "--help"], ["dev", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = f"""
import sys
from orchestrator.cli.main import run
assert run({arguments!r}) == 0
print("HEAVY:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "HEAVY: []"


COMMANDS = typer.main.get_command(app).commands
WITHOUT_JSON = {"demo", "worker", "beat", "api"}  # what they say is a story, or a log


@pytest.mark.parametrize("group", [[], *([name] for name, each in COMMANDS.items() if hasattr(each, "commands"))])
def test_the_summary_of_a_command_fits_on_its_line(group, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*group, "--help"]) == Exit.OK
    assert "..." not in capsys.readouterr().out.partition("Commands:")[2]


def test_every_command_that_answers_does_so_in_json_too():
    leaves = {
        f"{name} {below}".strip(): leaf
        for name, each in COMMANDS.items()
        for below, leaf in getattr(each, "commands", {"": each}).items()
    }
    assert {name for name, leaf in leaves.items() if all("--json" not in option.opts for option in leaf.params)} == (
        WITHOUT_JSON
    )
