"""Find and end processes that outlived whoever started them.

Two marks, because each misses something alone:

* the record: pid and start time of every child, on disk before it is needed. A pid alone may belong to a stranger
  by now; pid and start time together do not.
* the environment: children carry `UNDERSTUDY_DATA_MARK`, and so does whatever they start, also in sessions of their
  own (trainings). Servers that overwrite their environment to show a title (Redis, PostgreSQL) are in the record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from orchestrator.embedded.kept import write_private
from orchestrator.embedded.process import kill_group

MARK: Final = "UNDERSTUDY_DATA_MARK"
SAME_START_S: Final = 0.05  # start times are read from the kernel's clock ticks of 10 ms


@dataclass(frozen=True)
class Recorded:
    """A process that cannot be mistaken for another: its pid and the moment it started."""

    name: str
    pid: int
    started_s: float

    @classmethod
    def of(cls, name: str, pid: int) -> Recorded | None:
        """None if it is gone already."""
        try:
            return cls(name, pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    def running(self) -> psutil.Process | None:
        """The process, if it is still the same one and not a zombie."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started_s) < SAME_START_S
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None


class Record:
    """The children of one data directory, as written down in `DIR/children.json`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, entries: Iterable[Recorded]) -> None:
        write_private(self._path, json.dumps([[e.name, e.pid, e.started_s] for e in entries]) + "\n")

    def read(self) -> list[Recorded]:
        try:
            return [Recorded(*entry) for entry in json.loads(self._path.read_text("utf-8"))]
        except (OSError, ValueError, TypeError):
            return []


def marked(mark: str) -> list[psutil.Process]:
    """Every process we may look into whose environment has this mark, except this one and those above it."""
    spared = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in spared and process.environ().get(MARK) == mark:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def descendants(pids: Iterable[int]) -> list[psutil.Process]:
    """Every process below these, whatever session it is in."""
    found = []
    for pid in pids:
        try:
            found.extend(psutil.Process(pid).children(recursive=True))
        except psutil.Error:
            continue
    return found


def end(processes: Iterable[psutil.Process], timeout_s: float) -> int:
    """TERM to each, SIGKILL to those that are not gone in time, and to what is left of their groups.

    Returns:
        How many were still there.
    """
    there = {p.pid: p for p in processes if p.is_running()}
    groups = set()
    for process in there.values():
        try:
            if os.getpgid(process.pid) == process.pid:  # the leader of its own group
                groups.add(process.pid)
            process.terminate()
        except (psutil.Error, OSError):
            continue
    _, alive = psutil.wait_procs(list(there.values()), timeout=timeout_s)
    for process in alive:
        try:
            process.kill()
        except psutil.Error:
            continue
    for group in groups:
        kill_group(group)
    psutil.wait_procs(alive, timeout=2)
    return len(there)
