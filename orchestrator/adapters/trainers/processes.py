"""Processes that may be somebody else's by now: know one again, find what a dead runner left, signal only ours."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from pathlib import Path

import psutil

from orchestrator.adapters.trainers.rundir import read_json, write_json

RUN_DIR_VARIABLE = "UNDERSTUDY_RUN_DIR"


@functools.cache
def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identity(pid: int) -> str | None:
    """A text that no other process will ever have, None when there is no such living process.

    On Linux boot and start tick, which no change of the clock moves; elsewhere the start time.
    """
    stat = Path(f"/proc/{pid}/stat")
    try:
        if Path("/proc/self/stat").exists():
            # The command name in parentheses may hold anything: count fields from behind it. State is the first,
            # the start tick the 20th. Source: proc_pid_stat(5).
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return None if fields[0] in {"Z", "X"} else f"{_boot_id()}:{fields[19]}"
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except (OSError, psutil.Error):
        return None


def record(path: Path, pid: int) -> None:
    """Note a process of ours, so that anybody can know it again."""
    write_json(path, {"pid": pid, "identity": identity(pid)})


def recorded(path: Path) -> int | None:
    """The pid noted in the file while that very process lives, else None."""
    noted = read_json(path) or {}
    pid = noted.get("pid")
    if isinstance(pid, int) and noted.get("identity") is not None and identity(pid) == noted["identity"]:
        return pid
    return None


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process; one that is gone needs none."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def send_group(pid: int, number: signal.Signals) -> None:
    """Signal the process group led by `pid`; an empty one needs none."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(pid, number)


def members(run_dir: Path) -> list[psutil.Process]:
    """Living processes of a run's stage command, however deep, whatever group they moved to.

    They are known by the variable that only they inherited, so this needs no pid and cannot hit a stranger.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(RUN_DIR_VARIABLE) == str(run_dir) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def kill_members(run_dir: Path) -> int:
    """KILL everything that is left of a run's stage command; gives how many processes it was."""
    left = members(run_dir)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(left)
