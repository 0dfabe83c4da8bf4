"""What the test servers have in common."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Self

import psutil

from orchestrator.embedded.guardian import Guardian
from orchestrator.embedded.process import Child, Process
from orchestrator.embedded.strays import MARK, Recorded, descendants

TICK_S = 0.02


class ServerMissing(Exception):
    """This machine has no program for the server. The message says what would bring it; tests skip with it."""


class ServerFailed(Exception):
    """The program is there but did not come up. The message has the end of its log."""


def mark() -> str:
    """What the processes of this test run carry in their environment."""
    return f"understudy-tests-{os.getpid()}"


@cache
def guardian() -> Guardian:
    """Ends our servers if this process is killed before it can."""
    return Guardian(mark())


class Server(ABC):
    """One server with a scratch directory of its own. A context manager: starts on entry, is gone on exit."""

    name: str

    def __init__(self) -> None:
        # Directly below /tmp where possible: unix socket paths are limited to about 100 bytes.
        base = "/tmp" if Path("/tmp").is_dir() else None  # noqa: S108 - mkdtemp makes it ours alone
        self.dir = Path(tempfile.mkdtemp(prefix=f"understudy-{self.name}-", dir=base))
        self._process: Process | None = None
        self._lives = 0
        atexit.register(self.close)

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients reach it; the same over all restarts."""

    @abstractmethod
    def child(self) -> Child:
        """How to start it."""

    def env(self) -> dict[str, str]:
        """A small environment: nothing of the machine's settings reaches the server."""
        return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.dir), "LC_ALL": "C", MARK: mark()}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailed(f"{self.name} does not run")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    def start(self) -> None:
        """Start it, or start it again, and wait until it answers.

        Raises:
            ServerFailed: it ended, or did not answer in time.
        """
        child = self.child()
        self._process = Process.start(child)
        self._lives += 1
        recorded = Recorded.of(self._watch_name, self._process.pid)
        if recorded is not None:
            guardian().watch(recorded)
        deadline_s = time.monotonic() + child.ready_timeout_s
        while child.ready is not None and not child.ready():
            code = self._process.exit_code()
            if code is not None or time.monotonic() > deadline_s:
                trouble = "did not answer in time" if code is None else f"ended with code {code}"
                tail = self._process.log_tail()
                self.kill()
                raise ServerFailed(f"{self.name} {trouble}; its log ends:\n{tail}")
            time.sleep(TICK_S)

    def stop(self) -> None:
        """End it in order. Its data stays."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            guardian().forget(self._watch_name)

    def kill(self) -> None:
        """`kill -9` for it and all its children. Its data stays."""
        if self._process is not None:
            below = self._below()
            self._process.kill()
            self._process = None
            for process in below:
                with suppress(psutil.Error):
                    process.kill()
            psutil.wait_procs(below, timeout=5)
            guardian().forget(self._watch_name)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Make it hang: it keeps its connections and answers nothing until `resume`."""
        for pid in (self.pid, *(process.pid for process in self._below())):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in (*(process.pid for process in self._below()), self.pid):
            with suppress(ProcessLookupError):  # a child may end between the list and the signal
                os.kill(pid, signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its data. May be called twice."""
        atexit.unregister(self.close)
        if self.running:
            self.resume()
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def _below(self) -> list[psutil.Process]:
        """Its children, wherever they moved: PostgreSQL's are leaders of groups of their own."""
        return descendants([self.pid])

    @property
    def _watch_name(self) -> str:
        return self.dir.name
