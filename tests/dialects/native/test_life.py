"""The life of a job through the native API, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from orchestrator.domain.commands import Effect
from tests.dialects.native.conftest import Api
from tests.fakes.app import VIDEO, asked_of


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def test_a_job_goes_from_draft_to_review_and_on_to_training(api: Api):
    draft = api.draft(description="for the lobby", tags=["a", "b"], attributes={"colour": "blue"})
    assert (draft["state"], draft["phase"], draft["tags"]) == ("wait_file_upload", "init", ["a", "b"])
    assert "submit" in draft["allowed_commands"] or "open_upload" in draft["allowed_commands"]

    file = api.upload(draft["id"])
    progress = api.owner.get(f"/files/{file['id']}").json()
    assert (progress["state"], progress["missing_parts"]) == ("open", [])
    assert [part["size_bytes"] for part in progress["arrived_parts"]] == [len(VIDEO)]
    sealed = api.owner.post(f"/files/{file['id']}/complete").json()
    assert sealed["state"] == "sealed"
    assert sealed["download_url"]

    submitted = api.owner.post(f"/jobs/{draft['id']}/submit").json()
    assert submitted["state"] == "auto_verifying"
    api.world.app.engine.drain(Effect.VERIFY)
    [waiting] = api.reviewer.get("/reviews/next", limit=10).json()["items"]
    assert (waiting["id"], waiting["state"]) == (draft["id"], "manual_verifying")

    approved = api.reviewer.post(f"/jobs/{draft['id']}/approve", comment="fine").json()
    assert approved["state"] == "training_data_preprocess_success"
    assert [c["text"] for c in approved["comments"]] == ["fine"]
    words = [entry["command"] for entry in api.owner.get(f"/jobs/{draft['id']}/log").json()["items"]]
    assert [words[0], words[-1]] == ["create", "advance"]
    assert {"open_upload", "confirm_video", "submit", "auto_accept", "approve"} <= set(words)

    api.world.app.engine.drain(Effect.DISPATCH)
    [run] = api.owner.get(f"/jobs/{draft['id']}/runs").json()["items"]
    assert (run["stage"], run["outcome"]) == ("training", "running")
    assert api.owner.get(f"/runs/{run['id']}").json() == run
    api.world.trainer.say(api.world.live_runs()[0].handle, _running(), log="epoch 1\n")
    assert api.admin.get(f"/runs/{run['id']}/log").json() == {"text": "epoch 1\n", "next_offset": 8}
    assert api.admin.get(f"/runs/{run['id']}/log", offset=8).json() == {"text": "", "next_offset": 8}

    api.world.settle()
    done = api.owner.get(f"/jobs/{draft['id']}").json()
    assert (done["state"], done["phase"]) == ("job_success", "succeeded")
    [asset] = api.owner.get("/assets").json()["items"]
    assert asset["id"] == done["asset_id"]
    files = api.owner.get(f"/assets/{asset['id']}").json()["files"]
    assert all(file["download_url"] for file in files)


def _running():
    from orchestrator.ports.trainer import RunState

    return RunState.RUNNING


def test_a_rejected_job_says_why_and_may_be_submitted_again(api: Api):
    job_id = api.in_review()
    rejected = api.reviewer.post(f"/jobs/{job_id}/reject", reasons=["too dark", "out of focus"]).json()
    assert rejected["state"] == "manual_verify_failed"
    assert rejected["message"] == "too dark; out of focus"
    api.upload(job_id, b"a brighter video")
    assert api.owner.post(f"/jobs/{job_id}/submit").json()["message"] == ""


def test_only_what_is_sent_is_edited(api: Api):
    job_id = api.draft(description="old", tags=["a"])["id"]
    edited = api.owner.ask("PATCH", f"/jobs/{job_id}", json={"name": "Eve"}).json()
    assert (edited["name"], edited["description"], edited["tags"]) == ("Eve", "old", ["a"])


def test_a_deleted_job_is_gone(api: Api):
    job_id = api.draft()["id"]
    assert api.owner.ask("DELETE", f"/jobs/{job_id}").status_code == 204
    assert api.owner.get(f"/jobs/{job_id}").status_code == 404
    assert api.owner.get("/jobs").json()["total"] == 0


def test_a_given_up_upload_takes_no_more_urls(api: Api):
    file = api.owner.post(f"/jobs/{api.draft()['id']}/files", kind="cover", name="c.png", size_bytes=9).json()["file"]
    fresh = api.owner.post(f"/files/{file['id']}/urls").json()
    assert [each["number"] for each in fresh["urls"]] == [1]
    assert api.owner.ask("DELETE", f"/files/{file['id']}").status_code == 204
    again = api.owner.post(f"/files/{file['id']}/urls", part_numbers=[1])
    assert (again.status_code, again.json()["code"]) == (409, "upload_not_open")


def test_comments_carry_attachments(api: Api):
    job_id = api.draft()["id"]
    opened = api.owner.post(f"/jobs/{job_id}/files", kind="attachment", name="note.txt", size_bytes=2).json()
    api.world.storage.put_url(opened["urls"][0]["url"], b"hi")
    file_id = api.owner.post(f"/files/{opened['file']['id']}/complete").json()["id"]
    made = api.owner.post(f"/jobs/{job_id}/comments", text="see there", attachments=[file_id])
    assert made.status_code == 201
    [comment] = api.reviewer.get(f"/jobs/{job_id}").json()["comments"]
    assert (comment["text"], comment["attachments"][0]["id"]) == ("see there", file_id)


def test_admins_steer_a_job(api: Api):
    job_id = api.in_review()
    api.reviewer.post(f"/jobs/{job_id}/approve")
    assert api.admin.post(f"/jobs/{job_id}/priority", priority=7).json()["priority"] == 7
    assert api.admin.post(f"/jobs/{job_id}/retry-count", retry_count=3).json()["repairs_left"] == 3
    assert api.admin.post(f"/jobs/{job_id}/settings/beauty_level", value=2).json()["settings"] == {"beauty_level": 2}
    assert api.admin.post(f"/jobs/{job_id}/commands/set_priority", value=9).json()["priority"] == 9
    stopped = api.admin.post(f"/jobs/{job_id}/stop", reason="wrong person").json()
    assert (stopped["state"], stopped["message"]) == ("manual_stop_train", "wrong person")
    again = api.admin.post(f"/jobs/{job_id}/retrain", stage="training", reasons=["right person now"]).json()
    assert again["state"] == "training_data_preprocess_success"


def test_showing_a_job_is_one_statement_besides_the_key(api: Api):
    job_id = api.in_review()
    api.world.clock.advance(2)  # the key is looked up again
    with asked_of(api.world.database) as asked:
        assert api.owner.get(f"/jobs/{job_id}").status_code == 200
        assert len(asked.statements) == 2, asked
        assert api.owner.get(f"/jobs/{job_id}").status_code == 200
        assert len(asked.statements) == 3, "requests in a row look the key up once"
