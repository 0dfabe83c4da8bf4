"""Projects that operators make from the command line, beside the API."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from orchestrator.cli import main
from orchestrator.domain.actors import Role
from orchestrator.settings import load_profiles
from tests.fakes.app import a_world


@pytest.mark.parametrize(("words", "is_named"), [(["--named-account"], True), ([], False)])
def test_a_project_is_made_for_named_accounts_or_for_others(
    sqlite_url: str, tmp_path: Path, words: list[str], *, is_named: bool
) -> None:
    config = tmp_path / "understudy.toml"
    config.write_text(
        f"""
        [database]
        url = "{sqlite_url}"
        [broker]
        url = "redis://127.0.0.1:9/0"
        [storage]
        bucket = "b"
        endpoint = "http://127.0.0.1:9"
        access_key = "a"
        secret_key = "s"
        [secrets]
        encryption_key = "{Fernet.generate_key().decode()}"
        """,
        encoding="utf-8",
    )
    assert main.run(["--config", str(config), "project", "create", "acme", *words]) == 0
    with a_world(sqlite_url, profiles=load_profiles()) as world:
        job, _ = world.app.intake.create(world.caller("acme", Role.USER), "metastudio", "Anna", [])
    assert ("named_account" in job.switches) is is_named
