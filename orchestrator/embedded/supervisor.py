"""Starts the processes of `understudy dev` in order, keeps them running, and ends them in reverse order.

    with Supervisor(children, data_dir, on_event) as supervisor:
        supervisor.start()      # returns when every child is ready, or raises
        supervisor.wait()       # returns on SIGTERM, SIGINT, SIGHUP or `request_stop()`

Nothing is left running afterwards, however it ends: in order (`close`), by an exception, or by `kill -9` of this
process (the guardian, `guardian.py`), or of both (the next start, `strays.py`). One supervisor per data directory.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Self

import psutil

from orchestrator.embedded import strays
from orchestrator.embedded.guardian import Guardian
from orchestrator.embedded.process import Child, Process, kill_group
from orchestrator.embedded.strays import Record, Recorded
from orchestrator.embedded.wakeups import Wakeups

FIRST_DELAY_S: Final = 0.2
LONGEST_DELAY_S: Final = 15.0
HEALTHY_AFTER_S: Final = 30.0  # a child that lived this long starts again without the delay of earlier deaths
READY_TICK_S: Final = 0.05
IDLE_TICK_S: Final = 1.0  # deaths wake us by SIGCHLD; this only bounds what a lost signal would cost


class DataDirInUse(Exception):
    """Another supervisor runs on this data directory."""


class ChildNotReady(Exception):
    """A child ended, or did not answer in time, while everything was being started."""


class StopRequested(Exception):
    """A stop signal came before everything was ready."""


class EventKind(StrEnum):
    LEFTOVERS_ENDED = "leftovers_ended"
    STARTING = "starting"
    READY = "ready"
    DIED = "died"
    RESTARTED = "restarted"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Event:
    """What the supervisor did or saw. `details` holds plain values for a log line."""

    kind: EventKind
    child: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass
class _Slot:
    """One child over all its lives."""

    child: Child
    process: Process | None = None
    deaths: int = 0
    start_again_at_s: float | None = None
    ready: bool = False

    def next_delay_s(self) -> float:
        return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**self.deaths)


class Supervisor:
    """Owns a data directory and the children that run on it. Use it from the main thread: it handles signals."""

    def __init__(self, children: Sequence[Child], data_dir: Path, on_event: Callable[[Event], None]) -> None:
        names = [child.name for child in children]
        if len(set(names)) != len(names) or any(" " in name for name in names):
            raise ValueError(f"children need different names without spaces, got {names}")
        self._slots = [_Slot(child) for child in children]
        self._data_dir = data_dir.resolve()
        self._mark = str(self._data_dir)
        self._on_event = on_event
        self._record = Record(self._data_dir / "children.json")
        self._lock: IO[str] | None = None
        self._wakeups: Wakeups | None = None
        self._guardian: Guardian | None = None

    # -- as a context ------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Take the data directory, and end what a killed supervisor left running on it.

        Raises:
            DataDirInUse: another one runs there; the message names its pid.
        """
        self._data_dir.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self._data_dir / "supervisor.lock")
        try:
            self._wakeups = Wakeups()
            self._end_leftovers()
            self._guardian = Guardian(self._mark)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start every child, each when the one before it is ready.

        Raises:
            ChildNotReady: one did not get ready; the message has the end of its log.
            StopRequested: a stop signal came meanwhile.
        """
        wakeups = self._entered()
        for slot in self._slots:
            self._emit(EventKind.STARTING, slot)
            try:
                self._start(slot)
            except OSError as exc:
                raise ChildNotReady(f"{slot.child.name} cannot be started: {exc}") from exc
            deadline_s = time.monotonic() + slot.child.ready_timeout_s
            while not self._check_ready(slot):
                self._refuse_if_late(slot, deadline_s)
                wakeups.sleep(READY_TICK_S)
                self._keep_running()
                if wakeups.stop_requested:
                    raise StopRequested

    def wait(self) -> None:
        """Restart children that die, until a stop is asked for."""
        wakeups = self._entered()
        while not wakeups.stop_requested:
            self._keep_running()
            waiting = any(slot.process is not None and not slot.ready for slot in self._slots)
            due = [slot.start_again_at_s - time.monotonic() for slot in self._slots if slot.start_again_at_s]
            wakeups.sleep(READY_TICK_S if waiting else max(0.0, min([IDLE_TICK_S, *due])))

    def request_stop(self) -> None:
        """Make `wait` return. Safe in a signal handler and from any thread."""
        self._entered().ring()

    def pids(self) -> dict[str, int]:
        """The children that run now."""
        running = ((slot.child.name, slot.process) for slot in self._slots)
        return {name: process.pid for name, process in running if process and process.exit_code() is None}

    def close(self) -> None:
        """End the children in reverse order, then everything they started. May be called twice."""
        if self._lock is None:
            return
        below = strays.descendants(self.pids().values())
        for slot in reversed(self._slots):
            slot.start_again_at_s = None
            if slot.process is not None:
                self._emit(EventKind.STOPPING, slot)
                code = slot.process.stop()
                slot.process = None
                self._emit(EventKind.STOPPED, slot, exit_code=code)
        self._end([*below, *strays.marked(self._mark)])
        self._record.write([])
        if self._guardian is not None:
            self._guardian.dismiss()
        if self._wakeups is not None:
            self._wakeups.release()
        self._lock.close()
        self._lock = None

    # -- one child ---------------------------------------------------------------------------------------------

    def _start(self, slot: _Slot) -> None:
        slot.ready = False
        slot.start_again_at_s = None
        slot.process = Process.start(slot.child, {strays.MARK: self._mark})
        recorded = Recorded.of(slot.child.name, slot.process.pid)
        if recorded is not None and self._guardian is not None:
            self._guardian.watch(recorded)
        self._write_record()

    def _check_ready(self, slot: _Slot) -> bool:
        if not slot.ready and slot.process is not None and slot.process.exit_code() is None:
            slot.ready = slot.child.ready is None or slot.child.ready()
            if slot.ready:
                took_s = time.monotonic() - slot.process.started_at_s
                self._emit(EventKind.READY, slot, pid=slot.process.pid, took_s=round(took_s, 2))
        return slot.ready

    def _refuse_if_late(self, slot: _Slot, deadline_s: float) -> None:
        code = None if slot.process is None else slot.process.exit_code()
        if code is not None:
            trouble = f"ended with code {code} before it was ready"
        elif time.monotonic() > deadline_s:
            trouble = f"was not ready after {slot.child.ready_timeout_s:g} s"
        else:
            return
        tail = slot.process.log_tail() if slot.process else ""
        raise ChildNotReady(f"{slot.child.name} {trouble}. Its log, {slot.child.log_path}, ends:\n{tail or '(empty)'}")

    def _keep_running(self) -> None:
        """Look at every child once: restart the dead ones that are due, note the ones that got ready."""
        if self._guardian is not None:
            self._guardian.revive()
        for slot in self._slots:
            if slot.start_again_at_s is not None:
                if time.monotonic() >= slot.start_again_at_s:
                    self._restart(slot)
            elif slot.process is not None and not self._starting(slot):
                self._look_after(slot, slot.process)

    def _starting(self, slot: _Slot) -> bool:
        """During `start`, the child being waited for is judged by `_refuse_if_late`, not restarted."""
        return not slot.ready and slot.deaths == 0

    def _look_after(self, slot: _Slot, process: Process) -> None:
        code = process.exit_code()
        lived_s = time.monotonic() - process.started_at_s
        if code is None:
            if not self._check_ready(slot) and lived_s > slot.child.ready_timeout_s:
                process.kill()  # hangs: the next look finds it dead
            return
        kill_group(process.pid)  # a pool whose parent was killed
        slot.process = None
        slot.deaths = 0 if slot.ready and lived_s > HEALTHY_AFTER_S else slot.deaths
        delay_s = slot.next_delay_s()
        slot.deaths += 1
        if slot.child.restart:
            slot.start_again_at_s = time.monotonic() + delay_s
        if self._guardian is not None:
            self._guardian.forget(slot.child.name)
        self._write_record()
        self._emit(EventKind.DIED, slot, exit_code=code, again_in_s=delay_s if slot.child.restart else None)

    def _restart(self, slot: _Slot) -> None:
        try:
            self._start(slot)
        except OSError as exc:
            slot.deaths += 1
            slot.start_again_at_s = time.monotonic() + slot.next_delay_s()
            self._emit(EventKind.DIED, slot, error=str(exc))
            return
        self._emit(EventKind.RESTARTED, slot, pid=slot.process.pid if slot.process else None)

    # -- what is left of others --------------------------------------------------------------------------------

    def _end_leftovers(self) -> None:
        recorded = [process for entry in self._record.read() if (process := entry.running()) is not None]
        below = strays.descendants(process.pid for process in recorded)
        ended = self._end([*recorded, *below, *strays.marked(self._mark)])
        if ended:
            self._on_event(Event(EventKind.LEFTOVERS_ENDED, details={"processes": ended}))

    def _end(self, processes: Sequence[psutil.Process]) -> int:
        return strays.end({p.pid: p for p in processes}.values(), timeout_s=5.0)

    def _write_record(self) -> None:
        entries = (Recorded.of(name, pid) for name, pid in self.pids().items())
        self._record.write(entry for entry in entries if entry is not None)

    def _entered(self) -> Wakeups:
        if self._wakeups is None:
            raise RuntimeError("use the supervisor as a context manager: with Supervisor(...) as supervisor")
        return self._wakeups

    def _emit(self, kind: EventKind, slot: _Slot, **details: object) -> None:
        self._on_event(Event(kind, slot.child.name, details))


def _locked(path: Path) -> IO[str]:
    """The open lock file. The lock ends with its holder, in whatever way it ends; children do not inherit it."""
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.seek(0)
        holder = file.read().strip() or "unknown"
        file.close()
        raise DataDirInUse(
            f"{path.parent} is in use by another `understudy dev` (pid {holder}): stop it, or choose another --data-dir"
        ) from exc
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
