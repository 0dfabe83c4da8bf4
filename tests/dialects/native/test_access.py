"""Who may do what, and what strangers see: nothing."""

from __future__ import annotations

import pytest

from tests.dialects.native.conftest import Api

OF_A_JOB = [
    ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/log"), ("GET", "/runs"), ("POST", "/submit"),
    ("POST", "/files"), ("POST", "/comments"), ("POST", "/commands/delete_video"), ("POST", "/commands/repair"),
]  # fmt: skip
BODIES = {
    "/files": {"kind": "cover", "name": "c.png", "size_bytes": 1},
    "/comments": {"text": "hello"},
    "/reject": {"reasons": ["no"]},
    "/retrain": {"stage": "training"},
    "/priority": {"priority": 1},
    "/retry-count": {"retry_count": 1},
    "/settings/general": {"value": 1},
}


def body(method: str, path: str):
    return BODIES.get(path, {"name": "x"} if method == "PATCH" else None)


@pytest.mark.parametrize(("method", "path"), OF_A_JOB)
def test_strangers_find_no_job(api: Api, method: str, path: str):
    job_id = api.draft()["id"]
    told = api.stranger.ask(method, f"/jobs/{job_id}{path}", json=body(method, path))
    assert (told.status_code, told.json()["code"]) == (404, "not_found")
    nothing = api.stranger.ask(method, f"/jobs/{'0' * 32}{path}", json=body(method, path))
    assert nothing.json()["detail"].replace("0" * 32, job_id) == told.json()["detail"]  # as if there were none


def test_strangers_find_no_file_run_or_asset(api: Api):
    job = api.world.published("plain")
    detail = api.world.detail(job)
    for path in (f"/files/{detail.files[0].id}", f"/runs/{detail.runs[0].id}", f"/assets/{detail.job.asset_id}"):
        assert api.owner.get(path).status_code == 200
        assert api.stranger.get(path).status_code == 404
    for path in ("/jobs", "/assets"):
        assert api.stranger.get(path, project_id="project-1").json()["items"] == []
    assert api.stranger.get("/counts").json()["states"] == {}
    assert api.owner.get("/counts").json()["states"] == {"job_success": 1}


@pytest.mark.parametrize(
    ("path", "who"),
    [
        ("/approve", "reviewer"), ("/reject", "reviewer"), ("/stop", "admin"), ("/retrain", "admin"),
        ("/reset", "admin"), ("/priority", "admin"), ("/retry-count", "admin"), ("/settings/general", "admin"),
    ],
)  # fmt: skip
def test_roles_below_what_a_command_needs_are_refused(api: Api, path: str, who: str):
    job_id = api.in_review()
    order = ["owner", "reviewer", "admin", "operator"]
    for name in order:
        answer = getattr(api, name).post(f"/jobs/{job_id}{path}", **(body("POST", path) or {}))
        if order.index(name) < order.index(who):
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        else:
            assert answer.status_code in {200, 409}


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("GET", "/sweeps", None),
        ("POST", "/sweeps/overdue", None),
        ("POST", "/projects", {"id": "new"}),
        ("POST", "/keys", {"project_id": "people", "role": "user", "name": "k"}),
    ],
)
def test_operating_is_for_operators(api: Api, method: str, path: str, sent):
    for person in (api.owner, api.reviewer, api.admin):
        assert person.ask(method, path, json=sent).status_code == 403
    assert api.operator.ask(method, path, json=sent).is_success


def test_users_review_nothing_and_see_no_trainer_output(api: Api):
    job = api.world.published("plain")
    assert api.owner.get("/reviews/next").status_code == 403
    run = api.world.detail(job).runs[0]
    assert api.owner.get(f"/runs/{run.id}/log").status_code == 403
    assert api.admin.get(f"/runs/{run.id}/log").status_code == 200


def test_sweeps_tell_what_they_would_do(api: Api):
    names = [each["name"] for each in api.operator.get("/sweeps").json()["items"]]
    assert names == api.world.app.sweeper.names()
    report = api.operator.ask("POST", "/sweeps/overdue?dry_run=true").json()
    assert (report["name"], report["dry_run"], report["done"]) == ("overdue", True, [])
    assert api.operator.post("/sweeps/nothing").status_code == 404


def test_a_made_key_works_at_once(api: Api):
    assert api.operator.post("/projects", id="fresh").json() == {"id": "fresh", "created": True}
    assert api.operator.post("/projects", id="fresh").json()["created"] is False
    key = api.operator.post("/keys", project_id="fresh", role="user", name="k").json()
    assert api.world.app.keys.signing_key(key["access_key"]).secret == key["secret_key"]
    lost = api.operator.post("/keys", project_id="nowhere", role="user", name="k")
    assert (lost.status_code, lost.json()["details"]) == (422, {"field": "project_id"})
    assert "`understudy project create nowhere` makes it" in lost.json()["detail"]
