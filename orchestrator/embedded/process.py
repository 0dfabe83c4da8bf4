"""One child process: its own session, its own log file, and an end that leaves none of its group behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LOG_KEEP_BYTES = 16 * 1024 * 1024
TAIL_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Child:
    """How to start, watch and stop one process.

    Attributes:
        env: the whole environment, not an addition to ours. It may hold secrets and is never logged.
        ready: asked again and again until it says yes; it must answer within about a second. None: ready at once.
        stop_signal: goes to the process itself, not to its group: Celery's and PostgreSQL's main processes end their
            own children in order, and a signal to those children would be taken as a crash.
        stop_timeout_s: after that long the whole group gets SIGKILL.
        restart: start it again, with the same arguments, when it ends by itself.
        user: run as this user and its group (only root can).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log_path: Path
    cwd: Path
    ready: Callable[[], bool] | None = None
    ready_timeout_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout_s: float = 20.0
    restart: bool = True
    user: str | None = None
    group: str | None = None


@dataclass
class Process:
    """A started `Child`. The pid is also the id of its process group and session."""

    child: Child
    popen: subprocess.Popen[bytes]
    started_at_s: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, child: Child, extra_env: Mapping[str, str] | None = None) -> Process:
        """Start it, with its output going to its log file.

        Raises:
            OSError: there is no such program, or it must not be run.
        """
        child.log_path.parent.mkdir(parents=True, exist_ok=True)
        if child.log_path.exists() and child.log_path.stat().st_size > LOG_KEEP_BYTES:
            child.log_path.replace(child.log_path.with_name(f"{child.log_path.name}.1"))
        with child.log_path.open("ab") as log:
            popen = subprocess.Popen(  # argv is made by us, and no shell sees it
                list(child.argv),
                env={**child.env, **(extra_env or {})},
                cwd=child.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=child.user,
                group=child.group,
                extra_groups=[] if child.user else None,
            )
        return cls(child, popen)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def exit_code(self) -> int | None:
        """None while it runs; negative: the number of the signal that ended it."""
        return self.popen.poll()

    def ask_to_stop(self) -> None:
        """Send the stop signal and return at once."""
        if self.exit_code() is None:
            self.popen.send_signal(self.child.stop_signal)

    def stop(self, timeout_s: float | None = None) -> int:
        """Stop it in order; kill it and its group when it does not end in time. Gives the exit code."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(self.child.stop_timeout_s if timeout_s is None else timeout_s)
        return self.kill()

    def kill(self) -> int:
        """End it and every process left in its group, at once. Gives the exit code."""
        kill_group(self.pid)
        return self.popen.wait()

    def log_tail(self) -> str:
        """The last lines it wrote."""
        return log_tail(self.child.log_path)


def kill_group(group_id: int) -> None:
    """SIGKILL to a process group; nothing to do is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group_id, signal.SIGKILL)


def log_tail(path: Path) -> str:
    """The last whole lines of a log, 4 KiB at most; empty if there is none."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text.partition("\n")[2].strip() if size > TAIL_BYTES else text.strip()
