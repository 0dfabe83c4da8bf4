"""Repeated requests and pages, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from orchestrator.dialects.native.idempotency import REPLAYED
from tests.dialects.native.conftest import Api


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def test_the_same_request_with_the_same_key_is_done_once(api: Api):
    first = api.owner.post("/jobs", key="k-1", profile="plain", name="Ada")
    again = api.owner.post("/jobs", key="k-1", profile="plain", name="Ada")
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers[REPLAYED] == "true"
    assert REPLAYED not in first.headers
    assert api.owner.get("/jobs").json()["total"] == 1


def test_a_key_used_for_another_request_is_a_conflict(api: Api):
    api.owner.post("/jobs", key="k-1", profile="plain", name="Ada")
    for answer in (
        api.owner.post("/jobs", key="k-1", profile="plain", name="Eve"),
        api.person("project-1", _user(), "somebody else").post("/jobs", key="k-1", profile="plain", name="Ada"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert api.stranger.post("/jobs", key="k-1", profile="plain", name="Ada").status_code == 201


def _user():
    from orchestrator.domain.actors import Role

    return Role.USER


def test_a_refusal_is_judged_anew(api: Api):
    job_id = api.draft("plain")["id"]
    assert api.owner.post(f"/jobs/{job_id}/submit", key="k-2").status_code == 409
    api.upload(job_id)
    assert api.owner.post(f"/jobs/{job_id}/submit", key="k-2").status_code == 200
    assert api.owner.post(f"/jobs/{job_id}/submit", key="k-2").headers[REPLAYED] == "true"


def test_kept_answers_are_sealed(api: Api):
    key = api.operator.post("/keys", key="k-3", project_id="people", role="user", name="k").json()
    kept = api.world.snapshot()["idempotency_keys"]
    assert "sealed:" in str(kept)
    assert api.operator.post("/keys", key="k-3", project_id="people", role="user", name="k").json() == key


@pytest.mark.parametrize("key", ["x" * 201, "a b", "\x7f"])
def test_keys_are_visible_ascii(api: Api, key: str):
    assert api.owner.post("/jobs", key=key, profile="plain", name="Ada").status_code == 422


def test_the_second_of_two_equal_requests_is_told_of_the_first(api: Api):
    from datetime import timedelta

    from starlette.requests import Request

    from orchestrator.dialects.native import idempotency

    body = b'{"profile":"plain","name":"Ada"}'
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/jobs",
        "query_string": b"",
        "headers": [],
        "server": ("testserver", 80),
        "scheme": "http",
    }
    caller = api.world.caller("project-1", _user())
    fingerprint = idempotency._fingerprint(Request(scope), caller, body)
    assert idempotency._begin(api.world.app, caller, "k-4", fingerprint, timedelta(hours=1)) is None
    answer = api.owner.ask(
        "POST", "/jobs", content=body, headers={"Idempotency-Key": "k-4", "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_pages_follow_each_other_without_gaps(api: Api):
    made = []
    for _ in range(7):
        api.world.clock.advance(0.001)
        made.append(api.draft("plain")["id"])
    seen, cursor, totals = [], None, set()
    while True:
        page = api.owner.ask("GET", "/jobs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [job["id"] for job in page["items"]]
        totals.add(page["total"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(made, reverse=True)
    assert totals == {7}


def test_lists_are_filtered(api: Api):
    plain = api.draft("plain")["id"]
    reviewed = api.in_review()
    everything = {plain, reviewed}
    for params, expected in (
        ({"profile": "plain"}, {plain}),
        ({"state": "manual_verifying"}, {reviewed}),
        ({"state": ["manual_verifying", "wait_file_upload"]}, everything),
        ({"phase": "init"}, {plain}),
        ({"name": "ad"}, everything),
        ({"name": "100%"}, set()),
        ({"owner": "user of project-1"}, everything),
        ({"owner": "nobody"}, set()),
    ):
        page = api.owner.get("/jobs", **params).json()
        assert {job["id"] for job in page["items"]} == expected, params
        assert page["total"] == len(expected), params
    assert api.admin.get("/jobs", project_id="project-2").json()["total"] == 0
    assert api.admin.get("/jobs", project_id="project-1").json()["total"] == 2
