"""Runs one stage command: its own group, tied to us, listened to, stopped by TERM and then KILL."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestrator.adapters.trainers import processes
from orchestrator.adapters.trainers.protocol import Lines, Said, parse
from orchestrator.adapters.trainers.rundir import RunDir
from orchestrator.adapters.trainers.stopping import Stop

_LAUNCH: Final = Path(__file__).with_name("launch.py")
_READ_BYTES: Final = 65536
_LOOK_EVERY_S: Final = 0.1
_DRAIN_S: Final = 2.0
_TAIL_BYTES: Final = 4096
LOG_LIMIT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended."""

    exit_code: int  # negative: the signal that killed it
    error: str | None  # the last {"error": ...} it said
    last_words: str  # end of its standard error


class _Log:
    """The file people read. Full at LOG_LIMIT_BYTES: a trainer in a loop must not fill the disk of all others."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._room = LOG_LIMIT_BYTES - self._file.tell()

    def write(self, data: bytes) -> None:
        if self._room <= 0:
            return
        self._file.write(data[: self._room])
        self._room -= len(data)
        if self._room <= 0:
            self._file.write(b"\n[the log is full: the rest of the output is dropped]\n")

    def close(self) -> None:
        self._file.close()


def supervise(
    run: RunDir, command: Sequence[str], environment: Mapping[str, str], stop: Stop, heard: Callable[[Said], None]
) -> Ended:
    """Run the command to its end, whatever the reason of the end; nothing of its group is left afterwards."""
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCH), str(os.getpid()), *command],
        cwd=run.path,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        process_group=0,
    )
    try:
        processes.record(run.trainer, child.pid)
        return _Listener(run, child, stop, heard).listen()
    finally:
        if child.poll() is None:
            processes.send_group(child.pid, signal.SIGKILL)
        child.wait()


class _Listener:
    def __init__(self, run: RunDir, child: subprocess.Popen[bytes], stop: Stop, heard: Callable[[Said], None]) -> None:
        assert child.stdout is not None  # noqa: S101  (both are pipes)
        assert child.stderr is not None  # noqa: S101
        self._child = child
        self._run = run
        self._stop = stop
        self._heard = heard
        self._log = _Log(run.log)
        self._lines = Lines()
        self._tail: deque[bytes] = deque()
        self._error: str | None = None
        self._kill_at_s: float | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(child.stdout, selectors.EVENT_READ, self._on_stdout)
        self._selector.register(child.stderr, selectors.EVENT_READ, self._on_stderr)

    def listen(self) -> Ended:
        with self._selector:
            while self._child.poll() is None:
                self._read(_LOOK_EVERY_S)
                self._enforce()
            # Its pid was freed this instant; whoever stayed in the group keeps the group's number from being reused.
            processes.send_group(self._child.pid, signal.SIGKILL)
            processes.kill_members(self._run.path)
            deadline_s = time.monotonic() + _DRAIN_S
            while self._selector.get_map() and time.monotonic() < deadline_s:
                self._read(_LOOK_EVERY_S)
        self._take(self._lines.end())
        self._log.close()
        assert self._child.stdout is not None  # noqa: S101
        assert self._child.stderr is not None  # noqa: S101
        self._child.stdout.close()
        self._child.stderr.close()
        last_words = b"".join(self._tail)[-_TAIL_BYTES:].decode("utf-8", "replace")
        return Ended(self._child.returncode, self._error, last_words)

    def _enforce(self) -> None:
        if self._stop.reason is None:
            return
        now_s = time.monotonic()
        if self._kill_at_s is None:
            self._kill_at_s = now_s + self._stop.grace_s
            processes.send_group(self._child.pid, signal.SIGTERM)
        elif now_s >= self._kill_at_s:
            processes.send_group(self._child.pid, signal.SIGKILL)

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)  # it closed its outputs and works on
            return
        for key, _ in self._selector.select(seconds):
            data = os.read(key.fd, _READ_BYTES)
            if data:
                key.data(data)
            else:
                self._selector.unregister(key.fileobj)

    def _on_stderr(self, data: bytes) -> None:
        self._log.write(data)
        self._tail.append(data)
        while len(self._tail) > 1 and sum(map(len, self._tail)) - len(self._tail[0]) >= _TAIL_BYTES:
            self._tail.popleft()

    def _on_stdout(self, data: bytes) -> None:
        self._take(self._lines.feed(data))

    def _take(self, pieces: Iterable[tuple[bytes, bool]]) -> None:
        for piece, is_line in pieces:
            said = parse(piece) if is_line else None
            if said is None:
                self._log.write(piece)
                continue
            if said.error is not None:
                self._error = said.error
                self._log.write(f"error: {said.error}\n".encode())
            self._heard(said)
