"""Repeated requests and pages, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from orchestrator.app.once import Once
from orchestrator.dialects.native.idempotency import REPLAYED
from orchestrator.domain.errors import DatabaseUnavailable
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


def _dying(api: Api, monkeypatch: pytest.MonkeyPatch, name: str, key: str = "k-4") -> None:
    """A create under `key` whose process dies when it comes to `name` of the use cases, and settles nothing."""
    for settle in ("finish", "release", "forget"):
        monkeypatch.setattr(Once, settle, lambda *_: None)
    monkeypatch.setattr(api.world.app.jobs, name, _die)
    assert api.owner.post("/jobs", key=key, profile="plain", name="Ada").status_code == 500
    monkeypatch.undo()


def _die(*_: object, **__: object) -> None:
    raise RuntimeError


def test_the_second_of_two_equal_requests_is_told_of_the_first(api: Api, monkeypatch: pytest.MonkeyPatch):
    _dying(api, monkeypatch, "create")
    answer = api.owner.post("/jobs", key="k-4", profile="plain", name="Ada")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize("name", ["create", "show"], ids=["before the job is there", "after the job is there"])
def test_a_key_whose_process_died_is_free_after_a_lease_and_its_job_is_made_once(
    api: Api, monkeypatch: pytest.MonkeyPatch, name: str
):
    _dying(api, monkeypatch, name)
    api.world.clock.advance(api.world.timing.lease)
    answer = api.owner.post("/jobs", key="k-4", profile="plain", name="Ada")
    assert answer.status_code == 201
    assert api.owner.get("/jobs").json()["total"] == 1
    assert api.owner.post("/jobs", key="k-4", profile="plain", name="Ada").json()["id"] == answer.json()["id"]


def test_a_request_that_broke_off_is_begun_again_at_once_and_its_job_is_made_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
):
    def away(*_: object) -> None:
        raise DatabaseUnavailable("the database does not answer")

    monkeypatch.setattr(api.world.app.jobs, "show", away)
    answer = api.owner.post("/jobs", key="k-5", profile="plain", name="Ada")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    monkeypatch.undo()
    assert api.owner.post("/jobs", key="k-5", profile="plain", name="Ada").status_code == 201
    assert api.owner.get("/jobs").json()["total"] == 1


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
