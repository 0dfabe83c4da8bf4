import subprocess
import sys

import pytest

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
