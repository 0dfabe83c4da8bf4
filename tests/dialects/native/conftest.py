"""The native API in one process: real database, everything else in the hands of the test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings
from tests.fakes.app import VIDEO, World, a_world
from tests.fakes.client import AsgiClient


class Person:
    """Somebody with a token."""

    def __init__(self, client: AsgiClient, token: str) -> None:
        self._client = client
        self._token = token

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token}"} | options.pop("headers", {})
        return self._client.request(method, f"/api/v1{path}", headers=headers, **options)

    def get(self, path: str, **params: object) -> httpx.Response:
        return self.ask("GET", path, params=params)

    def post(self, path: str, key: str | None = None, **body: object) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.ask("POST", path, json=body or None, headers=headers)


class Api:
    """The served world and its people."""

    def __init__(self, world: World, client: AsgiClient) -> None:
        self.world = world
        self.client = client
        self.owner = self.person("project-1", Role.USER)
        self.stranger = self.person("project-2", Role.USER)
        self.reviewer = self.person("people", Role.REVIEWER)
        self.admin = self.person("people", Role.ADMIN)
        self.operator = self.person("people", Role.OPERATOR)

    def person(self, project_id: str, role: Role, name: str = "") -> Person:
        return Person(
            self.client, self.world.app.keys.create(project_id, role, name or f"{role} of {project_id}").token
        )

    def draft(self, profile: str = "reviewed", **more: object) -> dict[str, Any]:
        answer = self.owner.post("/jobs", profile=profile, name="Ada", **more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def upload(self, job_id: str, data: bytes = VIDEO) -> dict[str, Any]:
        answer = self.owner.post(f"/jobs/{job_id}/files", kind="training_video", name="ada.mp4", size_bytes=len(data))
        assert answer.status_code == 201, answer.text
        assert self.world.storage.put_url(answer.json()["urls"][0]["url"], data) == 200
        return answer.json()["file"]

    def in_review(self) -> str:
        """A job that waits for a reviewer."""
        job_id: str = self.draft()["id"]
        self.upload(job_id)
        assert self.owner.post(f"/jobs/{job_id}/submit").status_code == 200
        self.world.app.engine.drain(Effect.VERIFY)
        return job_id


@pytest.fixture
def url(sqlite_url: str) -> str:
    """Where the world keeps its rows; modules that are about rows ask for every kind of database."""
    return sqlite_url


@pytest.fixture
def world(url: str) -> Iterator[World]:
    with a_world(url) as world:
        yield world


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    with AsgiClient(create_asgi(Settings(), app=world.app)) as client:
        yield Api(world, client)
