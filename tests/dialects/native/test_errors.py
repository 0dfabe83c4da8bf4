"""Every error of the native API: its status, its code, its shape."""

from __future__ import annotations

import pytest

from orchestrator.domain.errors import DatabaseUnavailable, StorageUnavailable
from tests.dialects.native.conftest import Api, Person


def assert_problem(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert {"type", "title", "status", "code", "detail", "instance"} <= set(document)
    assert (document["status"], document["code"]) == (status, code)
    assert "Traceback" not in answer.text
    assert answer.headers["x-request-id"]
    return document


@pytest.mark.parametrize(
    "header", [None, "Basic abc", "Bearer", "Bearer nonsense", f"Bearer {'x' * 5000}", "bearer  \t"]
)
def test_who_has_no_good_token_is_told_how_to_come(api: Api, header: str | None):
    answer = api.client.get("/api/v1/jobs", headers={"Authorization": header} if header else {})
    assert_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_disabled_key_opens_nothing(api: Api):
    key = api.operator.post("/keys", project_id="project-1", role="user", name="temp").json()
    assert Person(api.client, key["token"]).get("/jobs").status_code == 200
    assert api.operator.ask("DELETE", f"/keys/{key['id']}").status_code == 204
    assert_problem(Person(api.client, key["token"]).get("/jobs"), 401, "unauthenticated")


def test_unknown_fields_and_wrong_values_are_all_named_at_once(api: Api):
    answer = api.owner.post("/jobs", profile="plain", name="", nmae="Ada", tags=[""])
    document = assert_problem(answer, 422, "invalid")
    assert {reason["field"] for reason in document["errors"]} == {"name", "nmae", "tags.0"}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b'{"profile":"plain","name":"a\\u0000b"}', b"[" * 100_000]
)
def test_bodies_that_make_no_sense_are_refused(api: Api, body: bytes):
    answer = api.owner.ask("POST", "/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert_problem(answer, answer.status_code, "invalid")


@pytest.mark.parametrize(
    "attributes", ['{"a": NaN}', '{"a": "\\u0000"}', '{"a": "\\ud800"}', f'{{"a": "{"x" * 20_000}"}}']
)
def test_attributes_that_a_database_cannot_keep_are_refused(api: Api, attributes: str):
    body = f'{{"profile": "plain", "name": "Ada", "attributes": {attributes}}}'
    answer = api.owner.ask("POST", "/jobs", content=body, headers={"Content-Type": "application/json"})
    assert_problem(answer, 422, "invalid")


def test_a_backslash_before_u0000_is_text_and_no_nul(api: Api):
    told = {"note": r"C:\u0000\\u0000"}
    made = api.owner.post("/jobs", profile="plain", name="Ada", attributes=told)
    assert (made.status_code, made.json()["attributes"]) == (201, told)


def test_an_unknown_profile_is_named_with_those_that_exist(api: Api):
    document = assert_problem(api.owner.post("/jobs", profile="nope", name="Ada"), 422, "invalid")
    assert "plain" in document["detail"]


def test_unknown_paths_methods_and_slashes_are_problems_too(api: Api):
    assert_problem(api.owner.get("/nothing"), 404, "not_found")
    assert_problem(api.owner.get("/jobs/"), 404, "not_found")
    assert_problem(api.owner.ask("PUT", "/jobs"), 405, "method_not_allowed")
    assert_problem(api.client.get("/nothing"), 404, "not_found")
    assert_problem(api.owner.get("/jobs/%00"), 422, "invalid")


def test_a_command_that_is_not_allowed_now_names_those_that_are(api: Api):
    job_id = api.draft()["id"]
    document = assert_problem(api.reviewer.post(f"/jobs/{job_id}/approve"), 409, "command_not_allowed")
    assert "wait_file_upload" in document["detail"]


def test_a_guard_says_what_is_missing(api: Api):
    job_id = api.draft()["id"]
    document = assert_problem(api.owner.post(f"/jobs/{job_id}/submit"), 409, "guard_refused")
    assert "training video is missing" in document["detail"]


def test_the_second_reviewer_is_told_who_was_first(api: Api):
    job_id = api.in_review()
    api.reviewer.post(f"/jobs/{job_id}/approve")
    document = assert_problem(api.admin.post(f"/jobs/{job_id}/reject", reasons=["no"]), 409, "command_not_allowed")
    assert document["details"]["decided_by"] == "reviewer of people"


def test_commands_of_the_machine_cannot_be_asked(api: Api):
    job_id = api.draft()["id"]
    for command in ("create", "confirm_video", "auto_accept", "succeed", "publish", "nonsense"):
        assert_problem(api.admin.post(f"/jobs/{job_id}/commands/{command}"), 422, "invalid")


def test_incomplete_uploads_are_named_with_what_they_lack(api: Api):
    job_id = api.draft()["id"]
    opened = api.owner.post(
        f"/jobs/{job_id}/files", kind="training_video", name="a.mp4", size_bytes=11 << 20, part_count=2
    )
    assert len(opened.json()["urls"]) == 2
    file_id = opened.json()["file"]["id"]
    document = assert_problem(api.owner.post(f"/files/{file_id}/complete"), 409, "upload_incomplete")
    assert document["details"]["problems"] == ["part 1 is missing", "part 2 is missing"]
    assert api.owner.get(f"/files/{file_id}").json()["missing_parts"] == [1, 2]


def test_a_store_that_is_away_is_a_503(api: Api):
    api.world.storage.breaks["create_upload"] = ["before"]
    answer = api.owner.post(f"/jobs/{api.draft()['id']}/files", kind="cover", name="c.png", size_bytes=1)
    assert_problem(answer, 503, StorageUnavailable.code)
    assert int(answer.headers["retry-after"]) > 0


def test_a_database_that_is_away_is_a_503(api: Api, monkeypatch: pytest.MonkeyPatch):
    def away(*_args, **_options):
        raise DatabaseUnavailable("the database does not answer: TimeoutError")

    monkeypatch.setattr(api.world.app.jobs, "show", away)
    answer = api.owner.get("/jobs/0123")
    assert_problem(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_a_bug_shows_no_stack_trace(api: Api, monkeypatch: pytest.MonkeyPatch):
    def broken(*_args, **_options):
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(api.world.app.jobs, "show", broken)
    answer = api.owner.get("/jobs/0123")
    assert_problem(answer, 500, "internal")
    assert "secret" not in answer.text


def test_large_bodies_are_refused_whether_they_tell_their_size_or_not(api: Api):
    big = b"x" * ((1 << 20) + 1)
    assert_problem(api.owner.ask("POST", "/jobs", content=big), 413, "body_too_large")
    assert_problem(api.owner.ask("POST", "/jobs", content=iter([big[:-9], big[-9:]])), 413, "body_too_large")
