"""A world served on a real socket, with a store that checks signatures: for the tests of every dialect."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from orchestrator.adapters.s3.options import S3Options, StoreKind
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.app.app import App
from orchestrator.app.keys import NewKey
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.profile import Profile
from orchestrator.http.server import create_asgi
from orchestrator.settings import Settings, load_profiles
from tests import web
from tests.fakes.app import Clock, World, a_world
from tests.servers import StoreServer

PATIENCE_S = 20.0


class LiveClock(Clock):
    """Real time, and what the test adds: the SDK and the store look at clocks of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def advance(self, by: timedelta | float) -> None:
        self.ahead += by if isinstance(by, timedelta) else timedelta(seconds=by)


def profiles(*folders: Path) -> Mapping[str, Profile]:
    """The kinds of jobs as shipped, and those of `folders`, trained by the test's trainer."""
    found = {}
    for name, profile in load_profiles(folders).items():
        stages = {stage: replace(how, pool="gpu") for stage, how in profile.stages.items()}
        found[name] = replace(profile, model_file="training.npz", stages=stages)
    return found


class Served:
    """Our API in a thread of this process."""

    def __init__(self, asgi: Any) -> None:
        config = uvicorn.Config(asgi, host="127.0.0.1", port=0, log_config=None, server_header=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        deadline = time.monotonic() + PATIENCE_S
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)


@dataclass
class ServedWorld:
    """A world on a socket, and the keys of its people."""

    world: World
    url: str

    def key(self, project_id: str = "project-1", role: Role = Role.USER, **attributes: object) -> NewKey:
        self.world.app.keys.add_project(project_id, attributes=attributes)
        return self.world.app.keys.create(project_id, role, f"{role} of {project_id}")

    def verify(self) -> None:
        """Let the machine check what was submitted."""
        self.world.app.engine.drain(Effect.VERIFY)


@pytest.fixture(autouse=True)
def _clean_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The SDKs write into HOME, and use proxies of the environment even for 127.0.0.1."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.getbasetemp()))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def storage(store_server: StoreServer) -> S3Storage:
    """One for all tests: its clients are dear to make, and every key has random letters in it."""
    storage = S3Storage(
        S3Options(
            endpoint=store_server.url, bucket=store_server.bucket, region="us-east-1",
            profile=StoreKind.GENERIC, access_key=store_server.access_key, secret_key=store_server.secret_key,
        )
    )  # fmt: skip
    # rclone removes a folder with the last object in it, under the hands of an upload that has just begun there
    storage.put("staging/keep", b"", "text/plain")
    return storage


@pytest.fixture
def url(sqlite_url: str) -> str:
    """Where the world keeps its rows; modules that are about rows ask for every kind of database."""
    return sqlite_url


@pytest.fixture
def world(url: str, storage: S3Storage) -> Iterator[World]:
    with a_world(url, profiles=profiles(), clock=LiveClock()) as world:
        world.storage = storage  # type: ignore[assignment]  # the real one
        world.app = world.process()
        yield world


class CurrentApp:
    """The use cases of whichever test runs now, so that one server serves them all."""

    app: App

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)


@pytest.fixture(scope="session")
def server() -> Iterator[Callable[[App], str]]:
    """Serves an app; gives the URL."""
    current = CurrentApp()
    with ExitStack() as stack:
        urls: list[str] = []

        def serve(app: App) -> str:
            current.app = app
            if not urls:
                urls.append(stack.enter_context(Served(create_asgi(Settings(), app=current))))  # type: ignore[arg-type]
            return urls[0]

        yield serve


@pytest.fixture
def put() -> Callable[..., int]:
    """Sends bytes to an upload URL, as the vendor's users do: each on a connection of its own."""

    def send(url: str, data: bytes, content_type: str = "application/octet-stream", **headers: str) -> int:
        answer = web.put(url, content=data, headers={"Content-Type": content_type, **headers})
        return answer.status_code

    return send
