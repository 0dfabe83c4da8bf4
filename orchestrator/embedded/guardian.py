"""Ends the children of a supervisor that died without doing it, whatever killed it.

A small process in a session of its own, which reads a pipe that only the supervisor writes to. When the supervisor
is gone the kernel closes the pipe, and the guardian ends every process it was told of, their groups, and everything
that carries the mark of the data directory.

Why not `PR_SET_PDEATHSIG`: it is Linux only, is bound to the thread that forked, is lost when the child changes its
user, and reaches no grandchild: a Celery worker's pool would live on. The pipe has none of these gaps. If the
guardian is killed first, the supervisor starts another; if both are killed at once, the next start on the data
directory finds what is left (`strays.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from orchestrator.embedded import strays
from orchestrator.embedded.strays import Recorded

GRACE_S = 5.0


class Guardian:
    """The supervisor's side: tells the guardian what to end."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._watched: dict[str, Recorded] = {}
        self._popen = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        env = {k: v for k, v in os.environ.items() if k != strays.MARK}
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.embedded.guardian", self._mark],
            env=env,
            cwd=Path(__file__).resolve().parents[2],  # found also when the package is not installed
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def watch(self, process: Recorded) -> None:
        """End this process when we are gone. One process per name: a new one takes the old one's place."""
        self._watched[process.name] = process
        self._say(f"watch {process.name} {process.pid} {process.started_s!r}\n")

    def forget(self, name: str) -> None:
        self._watched.pop(name, None)
        self._say(f"forget {name}\n")

    def revive(self) -> bool:
        """Start another guardian if this one is gone. True if it was."""
        if self._popen.poll() is None:
            return False
        self._popen = self._start()
        for process in list(self._watched.values()):
            self.watch(process)
        return True

    def dismiss(self) -> None:
        """All was ended in order: the guardian may go without touching anything."""
        self._say("dismiss\n")
        if self._popen.stdin is not None:
            with contextlib.suppress(OSError):
                self._popen.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(10)
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

    def _say(self, line: str) -> None:
        if self._popen.stdin is None:
            return
        with contextlib.suppress(OSError):  # it died: `revive` tells the next one
            self._popen.stdin.write(line.encode())
            self._popen.stdin.flush()


def main(mark: str) -> None:
    """The guardian's side. Reads orders from standard input until it closes."""
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    watched: dict[str, Recorded] = {}
    for line in sys.stdin:
        match line.split():
            case ["watch", name, pid, started_s]:
                watched[name] = Recorded(name, int(pid), float(started_s))
            case ["forget", name]:
                watched.pop(name, None)
            case ["dismiss"]:
                return
    known = [process for recorded in watched.values() if (process := recorded.running()) is not None]
    below = strays.descendants(process.pid for process in known)
    strays.end({p.pid: p for p in (*known, *below, *strays.marked(mark))}.values(), GRACE_S)


if __name__ == "__main__":
    main(sys.argv[1])
