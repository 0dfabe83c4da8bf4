"""Jobs of this API as reviewers, admins and the command line see them: as any others."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from structlog.testing import capture_logs

from orchestrator.app.keys import NewKey
from orchestrator.cli import main
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from tests.dialects.ims.conftest import Api
from tests.dialects.ims.support import call
from tests.dialects.ims.test_jobs import create, show
from tests.dialects.ims.test_life import ready, submit
from tests.dialects.metastudio import test_jobs as other


def understudy(api: Api, key: NewKey, *words: str) -> list[dict[str, Any]]:
    """What a command of the command line says, with the key of one of its people."""
    with capture_logs(), redirect_stdout(StringIO()) as out:  # the server is of this process, and logs to stdout
        assert main.run([*words, "--json", "--endpoint", api.url, "--token", key.token]) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_the_command_line_shows_lists_and_logs_a_job_of_each_vendor(api: Api, put: Any) -> None:
    owner, admin = api.key(), api.key("people", Role.ADMIN)
    client = api.client(owner)
    job_id = ready(api, client, avatar_description="news")
    submit(client, job_id)
    theirs = other.submitted(api.metastudio(owner), put).job_id
    api.world.settle()

    [shown] = understudy(api, owner, "job", "show", job_id)
    assert (shown["name"], shown["profile"], shown["state"], shown["phase"]) == (
        "Anna", "ims", "job_success", "succeeded",
    )  # fmt: skip
    assert shown["asset_id"] == show(client, job_id).avatar_id
    for key in (owner, admin):
        assert {each["id"] for each in understudy(api, key, "job", "list", "--limit", "10")} == {job_id, theirs}
    log = understudy(api, admin, "job", "logs", job_id)
    assert (log[0]["log_type"], log[-1]["target"]) == ("user_create_job", "job_success")
    assert {each["log_type"] for each in log} >= {"user_verifying_submitted", "system_job_success"}


def test_what_people_do_to_a_job_is_seen_through_the_sdk(api: Api) -> None:
    admin = api.key("people", Role.ADMIN)
    client = api.client()
    job_id, draft = ready(api, client), create(client, "draft")
    submit(client, job_id)
    api.world.slots = 0  # of the next process: what it checks waits for a slot
    api.world.process().engine.drain(Effect.VERIFY)
    assert show(client, job_id).status == "Queuing"
    understudy(api, admin, "job", "priority", job_id, "7")
    understudy(api, admin, "job", "stop", job_id, "--reason", "too dark")
    stopped = show(client, job_id)
    assert (stopped.status, stopped.message) == ("Fail", "too dark")
    submit(client, job_id)
    assert show(client, job_id).status == "Queuing"
    understudy(api, api.key(), "job", "delete", draft, "--yes")
    assert call(client, "list_avatar_training_jobs").data.total_count == 1
