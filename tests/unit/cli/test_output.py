"""What strangers have written reaches a terminal as text."""

from __future__ import annotations

import pytest

from orchestrator.cli import output
from orchestrator.cli.commands import job_views

EVIL = "Ada\x1b[2J\x9b1m\u202egnp.exe\r"
SHOWN = "Ada\\x1b[2J\\x9b1m\\u202egnp.exe\\r"
JOB = {
    "id": "j", "name": EVIL, "profile": "avatar", "project_id": "p", "state": "training", "phase": "running",
    "priority": 0, "created_at": None, "updated_at": None, "message": EVIL,
    "files": [{"id": "f", "kind": "cover", "name": EVIL, "size_bytes": 1, "state": "sealed"}],
    "comments": [{"at": None, "author": EVIL, "text": f"two\nlines\tand 你好 {EVIL}"}],
}  # fmt: skip


def test_no_name_and_no_comment_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job_views.job(JOB)
    output.note(EVIL)
    said = capsys.readouterr()
    assert said.out.count(SHOWN) == 5
    assert said.err == f"{SHOWN}\n"
    assert "two\nlines\tand 你好" in said.out
    assert not {"\x1b", "\x9b", "\r", "\u202e"} & set(said.out + said.err)
