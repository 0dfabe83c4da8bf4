"""What every answer carries, and what the process tells of itself."""

from __future__ import annotations

import pytest

from orchestrator.http.edge import STRICT
from tests.dialects.native.conftest import Api


@pytest.mark.parametrize(
    "params", [{"cursor": "x"}, {"cursor": "MjphYmM"}, {"limit": 0}, {"limit": 101}, {"state": "nope"}, {"name": "\0"}]
)
def test_questions_that_make_no_sense_are_refused(api: Api, params):
    assert api.owner.get("/jobs", **params).status_code == 422


def test_every_answer_carries_strict_headers_and_a_request_id(api: Api, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    asked = [
        ("GET", "/api/v1/jobs", 401), ("GET", "/livez", 200), ("GET", "/nothing", 404), ("GET", "/metrics", 200),
        ("GET", "/api/v1/openapi.json", 200), ("DELETE", "/api/v1/jobs", 405), ("GET", "/v1/p/nothing", 400),
        ("GET", "/v1/project-1/digital-assets", 401), ("POST", "/api/v1/jobs", 413), ("GET", "/api/v1/counts", 500),
    ]  # fmt: skip
    monkeypatch.setattr(api.world.app.jobs, "counts", broken)
    for method, path, status in asked:
        headers = {"X-Request-Id": "abc-1"}
        if status == 413:
            headers["Content-Length"] = str(2 << 20)
        answer = (
            api.owner.ask("GET", "/counts", headers=headers)
            if status == 500 else api.client.request(method, path, headers=headers)
        )  # fmt: skip
        assert answer.status_code == status, path
        assert answer.headers.get_list("x-request-id") == ["abc-1"]
        assert {name: answer.headers.get_list(name) for name in STRICT} == {n: [v] for n, v in STRICT.items()}
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
    over_tls = api.client.get("https://test/livez")
    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"
    assert api.client.get("/livez", headers={"X-Request-Id": "a b\t"}).headers["x-request-id"] != "a b\t"


def test_a_thousand_urls_are_sent_compressed(api: Api):
    job_id = api.draft()["id"]
    opened = api.owner.post(f"/jobs/{job_id}/files", kind="training_video", name="a.mp4", part_count=1000)
    assert len(opened.json()["urls"]) == 1000
    assert opened.headers["content-encoding"] == "gzip"


def test_the_openapi_document_tells_of_every_operation(api: Api):
    document = api.client.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert len(document["paths"]) >= 25
    assert document["components"]["securitySchemes"]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["security"], (method, path)


def test_liveness_readiness_and_numbers(api: Api):
    api.draft("plain")
    assert api.client.get("/livez").json() == {"status": "ok"}
    assert api.client.get("/readyz").json() == {"status": "ok", "parts": {"database": "ok", "store": "ok"}}
    text = api.client.get("/metrics").text
    assert 'understudy_jobs{state="wait_file_upload"} 1.0' in text
    assert 'understudy_live_runs{pool="gpu"} 0.0' in text
    assert 'route="/api/v1/jobs"' in text
    assert "understudy_build_info" in text
