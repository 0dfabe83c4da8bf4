"""The supervisor with real processes: it starts in order, restarts what dies, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestrator.embedded.process import Child
from orchestrator.embedded.supervisor import (
    ChildNotReady,
    DataDirInUse,
    Event,
    EventKind,
    StopRequested,
    Supervisor,
)

ROOT = Path(__file__).parents[2]

# Says when it runs and how it was ended. With a grandchild in a session of its own, as a training is.
CHILD = """
import pathlib, signal, subprocess, sys, time
name, where, grandchild = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:] == ["grandchild"]
def stop(*_):
    with (where / "ended").open("a") as file:
        file.write(name + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
if grandchild:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    (where / (name + ".grandchild")).write_text(str(other.pid))
(where / (name + ".ready")).touch()
print(name, "runs", flush=True)
time.sleep(600)
"""

# A whole supervisor in a process of its own, to be killed.
SUPERVISOR = """
import sys, pathlib
sys.path.insert(0, {root!r})
from tests.integration.test_supervisor import child
from orchestrator.embedded.supervisor import Supervisor
where = pathlib.Path({where!r})
with Supervisor([child(where, "one"), child(where, "two", "grandchild")], where, lambda event: None) as supervisor:
    supervisor.start()
    (where / "pids").write_text(" ".join(map(str, supervisor.pids().values())))
    print("ready", supervisor._guardian.pid, flush=True)
    supervisor.wait()
"""


def child(where: Path, name: str, *more: str, **changes) -> Child:
    ready = where / f"{name}.ready"
    values = {
        "name": name,
        "argv": [sys.executable, "-c", CHILD, name, str(where), *more],
        "env": dict(os.environ),
        "cwd": where,
        "log_path": where / "log" / f"{name}.log",
        "ready": ready.exists,
        "ready_timeout_s": 20.0,
        "stop_timeout_s": 5.0,
    }
    return Child(**values | changes)


def until(condition: Callable[[], object], within_s: float = 20) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.02)


def gone(*pids: int) -> bool:
    for pid in pids:
        try:
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


@pytest.fixture
def seen() -> list[Event]:
    return []


@pytest.fixture
def waiting() -> Iterator[Callable[[Supervisor, Callable[[], object]], None]]:
    """Runs `wait` until something has happened."""

    def run(supervisor: Supervisor, condition: Callable[[], object]) -> None:
        def watch() -> None:
            try:
                until(condition)
            finally:
                supervisor.request_stop()

        thread = threading.Thread(target=watch)
        thread.start()
        supervisor.wait()
        thread.join()
        assert condition()

    return run


def test_children_start_in_order_and_stop_in_reverse_order(tmp_path, seen):
    with Supervisor([child(tmp_path, "one"), child(tmp_path, "two")], tmp_path, seen.append) as supervisor:
        supervisor.start()
        pids = supervisor.pids()
        assert list(pids) == ["one", "two"]
        assert not gone(*pids.values())
    assert gone(*pids.values())
    assert (tmp_path / "ended").read_text().split() == ["two", "one"]
    assert [(e.kind, e.child) for e in seen] == [
        (EventKind.STARTING, "one"),
        (EventKind.READY, "one"),
        (EventKind.STARTING, "two"),
        (EventKind.READY, "two"),
        (EventKind.STOPPING, "two"),
        (EventKind.STOPPED, "two"),
        (EventKind.STOPPING, "one"),
        (EventKind.STOPPED, "one"),
    ]


def test_a_child_that_is_killed_is_started_again(tmp_path, seen, waiting):
    with Supervisor([child(tmp_path, "one"), child(tmp_path, "two")], tmp_path, seen.append) as supervisor:
        supervisor.start()
        first = supervisor.pids()
        for _ in range(2):
            before = supervisor.pids()["one"]
            (tmp_path / "one.ready").unlink()
            os.kill(before, signal.SIGKILL)
            supervisor._wakeups.stop_requested = False
            waiting(supervisor, (tmp_path / "one.ready").exists)
            assert supervisor.pids()["one"] != before
        assert supervisor.pids()["two"] == first["two"]
    died = [event.details for event in seen if event.kind is EventKind.DIED]
    assert [d["exit_code"] for d in died] == [-signal.SIGKILL] * 2
    assert died[0]["again_in_s"] < died[1]["again_in_s"], "a child that dies again and again is started less often"


def test_a_child_that_shall_not_be_restarted_stays_ended(tmp_path, seen, waiting):
    go = tmp_path / "go"
    until_told = f"import pathlib, time\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    short = child(tmp_path, "short", argv=[sys.executable, "-c", until_told], ready=None, restart=False)
    with Supervisor([short, child(tmp_path, "one")], tmp_path, seen.append) as supervisor:
        supervisor.start()
        go.touch()
        waiting(supervisor, lambda: any(event.kind is EventKind.DIED for event in seen))
        assert list(supervisor.pids()) == ["one"]


def test_a_child_that_ends_before_it_is_ready_is_reported_with_its_log(tmp_path, seen):
    broken = child(tmp_path, "broken", argv=[sys.executable, "-c", "raise SystemExit('no such database')"])
    with Supervisor([child(tmp_path, "one"), broken], tmp_path, seen.append) as supervisor:
        with pytest.raises(ChildNotReady, match=r"broken ended with code 1(?s:.*)no such database"):
            supervisor.start()
        pid = supervisor.pids()["one"]
    assert gone(pid)


def test_a_child_that_never_gets_ready_is_reported_and_stopped(tmp_path, seen):
    slow = child(tmp_path, "slow", ready=lambda: False, ready_timeout_s=0.3)
    with Supervisor([slow], tmp_path, seen.append) as supervisor:
        with pytest.raises(ChildNotReady, match=r"slow was not ready after 0\.3 s"):
            supervisor.start()
        pid = supervisor.pids()["slow"]
    assert gone(pid)


def test_a_missing_program_is_reported(tmp_path, seen):
    missing = child(tmp_path, "missing", argv=["/nowhere/program"])
    with (
        Supervisor([missing], tmp_path, seen.append) as supervisor,
        pytest.raises(ChildNotReady, match="missing cannot be started"),
    ):
        supervisor.start()


def test_a_child_that_ignores_the_stop_signal_is_killed(tmp_path, seen):
    ignores = (
        "import signal, time, pathlib, sys; signal.signal(15, 1); pathlib.Path('deaf.ready').touch(); time.sleep(600)"
    )
    deaf = child(tmp_path, "deaf", argv=[sys.executable, "-c", ignores], stop_timeout_s=0.3)
    with Supervisor([deaf], tmp_path, seen.append) as supervisor:
        supervisor.start()
        pid = supervisor.pids()["deaf"]
    assert gone(pid)
    assert seen[-1].details["exit_code"] == -signal.SIGKILL


def test_what_children_started_in_sessions_of_their_own_is_ended_too(tmp_path, seen):
    with Supervisor([child(tmp_path, "one", "grandchild")], tmp_path, seen.append) as supervisor:
        supervisor.start()
        grandchild = int((tmp_path / "one.grandchild").read_text())
        assert not gone(grandchild)
    assert gone(grandchild)


def test_a_training_outlives_the_restart_of_the_process_that_started_it(tmp_path, seen, waiting):
    with Supervisor([child(tmp_path, "one", "grandchild")], tmp_path, seen.append) as supervisor:
        supervisor.start()
        grandchild = int((tmp_path / "one.grandchild").read_text())
        (tmp_path / "one.ready").unlink()
        os.kill(supervisor.pids()["one"], signal.SIGKILL)
        waiting(supervisor, (tmp_path / "one.ready").exists)
        assert not gone(grandchild)
    assert gone(grandchild)


def test_two_supervisors_do_not_share_a_directory(tmp_path, seen):
    with (
        Supervisor([], tmp_path, seen.append),
        pytest.raises(DataDirInUse, match=rf"in use by another .*pid {os.getpid()}"),
        Supervisor([], tmp_path, seen.append),
    ):
        pass
    with Supervisor([], tmp_path, seen.append):
        pass


def test_a_signal_while_starting_stops_everything(tmp_path, seen):
    def never() -> bool:
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    with Supervisor([child(tmp_path, "one", ready=never)], tmp_path, seen.append) as supervisor:
        with pytest.raises(StopRequested):
            supervisor.start()
        pid = supervisor.pids()["one"]
    assert gone(pid)


@pytest.fixture
def running(tmp_path) -> Iterator[tuple[subprocess.Popen[str], int, list[int]]]:
    """A supervisor in a process of its own, its guardian's pid, and the pids of all it started."""
    script = SUPERVISOR.format(root=str(ROOT), where=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        ready, guardian = process.stdout.readline().split()
        assert ready == "ready"
        below = [*map(int, (tmp_path / "pids").read_text().split()), int((tmp_path / "two.grandchild").read_text())]
        yield process, int(guardian), below
        process.kill()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_everything_in_order(running, tmp_path, ending):
    process, guardian, below = running
    process.send_signal(ending)
    assert process.wait(20) == 0
    assert gone(guardian, *below)
    assert (tmp_path / "ended").read_text().split() == ["two", "one"]


def test_nothing_survives_a_killed_supervisor(running):
    process, guardian, below = running
    process.kill()
    until(lambda: gone(guardian, *below))


def test_what_survives_a_killed_supervisor_and_guardian_is_ended_by_the_next_one(running, tmp_path, seen):
    process, guardian, below = running
    os.kill(guardian, signal.SIGSTOP)  # it could otherwise be replaced before its supervisor dies
    process.kill()
    process.wait()
    os.kill(guardian, signal.SIGKILL)
    assert not any(gone(pid) for pid in below)
    with Supervisor([], tmp_path, seen.append):
        assert gone(*below)
    assert [event.kind for event in seen] == [EventKind.LEFTOVERS_ENDED]


def test_a_killed_guardian_is_replaced_and_guards(running):
    process, guardian, below = running
    os.kill(guardian, signal.SIGKILL)
    supervisor = psutil.Process(process.pid)
    children = set(below)
    until(lambda: any(c.pid not in {*children, guardian} for c in supervisor.children()))
    process.kill()
    until(lambda: gone(*below))
