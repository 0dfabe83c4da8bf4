"""Ports and secrets of one data directory: chosen once, the same after every restart.

Clients hold on to addresses and keys (an upload URL names the store's port), so what `understudy dev` picks on its
first start is written to `DIR/kept.json`, readable by its owner only, and used again.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now. It is not reserved: use it soon."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int, timeout_s: float = 0.5) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=timeout_s).close()
    except OSError:
        return False
    return True


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read; readers see the old text or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class Kept:
    """What one data directory remembers. Not for several processes at once: the holder of the data lock uses it."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / "kept.json"
        self._values: dict[str, str] = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}

    def get(self, name: str, make: Callable[[], str]) -> str:
        """The remembered value, or a new one from `make`, remembered from now on."""
        if name not in self._values:
            self.put(name, make())
        return self._values[name]

    def put(self, name: str, value: str) -> None:
        self._values[name] = value
        write_private(self._path, json.dumps(self._values, indent=2, sort_keys=True) + "\n")

    def secret(self, name: str) -> str:
        """A random word of 256 bits, letters, digits, - and _ only."""
        return self.get(name, lambda: secrets.token_urlsafe(32))

    def port(self, name: str) -> int:
        """A port that was free when it was first asked for."""
        return int(self.get(name, lambda: str(free_port())))
