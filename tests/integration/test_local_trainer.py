"""Local runs as processes: how they end, what they get, and what outlives whom."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from orchestrator.adapters.trainers import processes, rundir
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.adapters.trainers.rundir import RunDir
from orchestrator.adapters.trainers.upkeep import housekeeping, terminate_all
from orchestrator.domain.errors import Invalid, TrainerUnavailable
from orchestrator.domain.retry import FailureClass
from orchestrator.ports.trainer import RunSpec, RunState, RunStatus
from tests.contract.trainer_harness import reaches, until
from tests.fakes.trainer import a_spec

KEY = "job-1.training.1"
ROOT = Path(__file__).parents[2]

# Ends at the first TERM, or goes on for ever; its child in a session of its own is what a data loader may be.
FOR_EVER = """
import subprocess, sys, time, pathlib
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
pathlib.Path("child").write_text(str(child.pid))
print('{"progress": 0.5}', flush=True)
time.sleep(600)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + FOR_EVER

# Counts to ten, one step each hundredth of a second, and goes on from where the last try stopped.
COUNTS = """
import json, pathlib, time
kept = pathlib.Path("checkpoint/count")
first = int(kept.read_text()) if kept.exists() else 0
for count in range(first + 1, 11):
    kept.write_text(str(count))
    print(json.dumps({"progress": count / 10, "metrics": {"first": first}}), flush=True)
    while count == 5 and first == 0:
        time.sleep(0.01)
"""


def python(code: str, **changes: object) -> RunSpec:
    return a_spec(**{"command": ("{python}", "-I", "-S", "-c", code), **changes})


@pytest.fixture
def runs_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "runs"
    yield directory
    terminate_all(directory, grace_s=0.1)


@pytest.fixture
def backend(runs_dir: Path) -> LocalBackend:
    return LocalBackend(runs_dir, slots=2)


def ended(backend: LocalBackend, spec: RunSpec, state: RunState = RunState.FAILED, key: str = KEY) -> RunStatus:
    return reaches(backend, backend.submit(spec, key), state)


def under_way(backend: LocalBackend, spec: RunSpec, key: str = KEY) -> RunDir:
    handle = backend.submit(spec, key)
    until(lambda: backend.observe([handle])[0], lambda status: (status.progress or 0) >= 0.5, "progress")
    return RunDir(backend._runs_dir / key)


def pid_of(path: Path) -> int:
    pid = processes.recorded(path)
    assert pid is not None
    return pid


@pytest.mark.parametrize(
    ("code", "failure", "exit_code", "words"),
    [
        ('import sys; print(\'{"error": "too dark"}\'); sys.exit(65)', FailureClass.DATA, 65, "too dark"),
        ("import sys; sys.exit(75)", FailureClass.INFRASTRUCTURE, 75, "exit code 75"),
        ("import os; os.kill(os.getpid(), 9)", FailureClass.OUT_OF_MEMORY, -9, "killed by SIGKILL"),
        ("import sys; sys.exit(137)", FailureClass.OUT_OF_MEMORY, 137, "exit code 137"),
        ("raise MemoryError", FailureClass.OUT_OF_MEMORY, 1, "MemoryError"),
        ("raise OSError(28, 'No space left on device')", FailureClass.INFRASTRUCTURE, 1, "No space left"),
        ("import os; os.kill(os.getpid(), 11)", FailureClass.CODE, -11, "killed by SIGSEGV"),
        ("1 / 0", FailureClass.CODE, 1, "ZeroDivisionError"),
    ],
)
def test_how_a_command_ends_decides_its_class(
    backend: LocalBackend, code: str, failure: FailureClass, exit_code: int, words: str
) -> None:
    status = ended(backend, python(code))
    assert (status.failure, status.exit_code) == (failure, exit_code)
    assert words in status.message


def test_a_command_that_does_not_exist_is_a_fault_of_code(backend: LocalBackend) -> None:
    status = ended(backend, a_spec(command=("no-such-trainer",)))
    assert status.failure is FailureClass.CODE
    assert "no-such-trainer" in status.message


def test_a_run_beyond_its_time_ends_as_timeout_even_if_it_ignores_term(backend: LocalBackend) -> None:
    status = ended(backend, python(STUBBORN, timeout_s=0.5, grace_s=0.2))
    assert (status.failure, status.exit_code) == (FailureClass.TIMEOUT, -signal.SIGKILL)
    assert "0.5 s" in status.message


def test_cancelling_kills_what_ignores_term_and_everything_it_started(backend: LocalBackend) -> None:
    run = under_way(backend, python(STUBBORN))
    backend.cancel(KEY, 0.2)
    reaches(backend, KEY, RunState.CANCELLED)
    assert not processes.members(run.path)


def test_the_command_gets_its_own_environment_and_no_secret(runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERSTUDY_DATABASE_URL", "postgresql://secret")
    backend = LocalBackend(runs_dir, gpus=["3"], store={"root": "secret"}, environment={"HOUSE": "ours"})
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    spec = python(code, gpus=1, environment={"MINE": "yes"})
    ended(backend, spec, RunState.SUCCEEDED)
    seen = json.loads(backend.logs(KEY, 0)[0])
    assert "secret" not in str(seen)
    assert (seen["MINE"], seen["HOUSE"], seen["CUDA_VISIBLE_DEVICES"]) == ("yes", "ours", "3")
    assert (seen["UNDERSTUDY_STAGE"], seen["UNDERSTUDY_RUN_DIR"]) == ("training", str(runs_dir / KEY))


def test_output_that_is_no_progress_goes_to_the_log(backend: LocalBackend) -> None:
    code = (
        "print('plain'); print('{broken'); print('[1]'); print('{\"progress\": 7, \"message\": \"seven\"}');"
        "print('{\"progress\": 0.5}'); print('x' * 300000); print('{\"progress\": NaN}'); print('last', end='')"
    )
    status = ended(backend, python(code + "; raise SystemExit(3)"))
    assert (status.progress, status.message) == (0.5, "exit code 3")
    text, _ = backend.logs(KEY, 0, limit=10**6)
    assert text == "plain\n{broken\n[1]\n" + "x" * 300000 + "\nlast"


def test_a_runner_killed_outright_is_gone_and_takes_its_command_along(backend: LocalBackend) -> None:
    run = under_way(backend, python(FOR_EVER))
    trainer = psutil.Process(pid_of(run.trainer))
    os.kill(pid_of(run.runner), signal.SIGKILL)
    status = reaches(backend, KEY, RunState.GONE)
    assert status.failure is FailureClass.LOST
    trainer.wait(5)
    until(lambda: processes.members(run.path), lambda left: not left, "its children")
    assert backend.find(KEY) == KEY
    assert backend.submit(python(FOR_EVER), KEY) == KEY
    assert backend.observe([KEY])[0].state is RunState.GONE


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel does not tie a command to its runner")
def test_cancel_reaches_what_is_left_when_the_runner_is_dead(backend: LocalBackend) -> None:
    run = under_way(backend, python(FOR_EVER))
    child = psutil.Process(int((run.path / "child").read_text()))
    runner = psutil.Process(pid_of(run.runner))
    runner.kill()
    until(run.is_alive, lambda alive: not alive, "the runner's lock")
    assert child.is_running()
    backend.cancel(KEY, 5)
    until(lambda: processes.members(run.path), lambda left: not left, "its children")
    assert backend.observe([KEY])[0].state is RunState.CANCELLED


def test_a_runner_told_to_end_says_interrupted_and_the_next_try_resumes(backend: LocalBackend) -> None:
    run = under_way(backend, python(COUNTS))
    os.kill(pid_of(run.runner), signal.SIGTERM)
    status = reaches(backend, KEY, RunState.FAILED)
    assert (status.failure, status.message) == (FailureClass.INFRASTRUCTURE, "interrupted")
    again = ended(backend, python(COUNTS, attempt=2), RunState.SUCCEEDED, "job-1.training.2")
    assert again.metrics == {"first": 5}
    anew = under_way(backend, python(COUNTS, attempt=3), "job-1.training.3")
    assert backend.observe([anew.path.name])[0].metrics == {"first": 0}  # a stage that is done starts from nothing


def test_a_run_outlives_the_process_that_started_it(runs_dir: Path) -> None:
    program = (
        "import sys, pathlib, os, signal\n"
        "from orchestrator.adapters.trainers.local import LocalBackend\n"
        "from tests.integration.test_local_trainer import COUNTS, KEY, python\n"
        "LocalBackend(pathlib.Path(sys.argv[1])).submit(python(COUNTS), KEY)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    control = subprocess.run([sys.executable, "-c", program, str(runs_dir)], env=environment, check=False)
    assert control.returncode == -signal.SIGKILL
    backend = LocalBackend(runs_dir)
    assert backend.find(KEY) == KEY
    until(lambda: backend.observe([KEY])[0].progress, lambda progress: progress == 0.5, "progress")
    backend.cancel(KEY, 5)
    reaches(backend, KEY, RunState.CANCELLED)


def test_a_submit_that_died_before_it_started_anything_is_done_again(backend: LocalBackend, runs_dir: Path) -> None:
    (runs_dir / KEY).mkdir(parents=True)
    (runs_dir / KEY / "submit.lock").touch()
    (runs_dir / KEY / "spec.json").write_text("{}")
    assert backend.find(KEY) is None
    assert backend.observe([KEY])[0].state is RunState.GONE
    ended(backend, python("pass"), RunState.SUCCEEDED)


def test_a_submit_that_hangs_makes_the_backend_unavailable_for_its_key_only(
    backend: LocalBackend, runs_dir: Path
) -> None:
    (runs_dir / KEY).mkdir(parents=True)
    with rundir.holding(runs_dir / KEY / "submit.lock"), pytest.raises(TrainerUnavailable, match="cannot look for run"):
        backend.find(KEY)
    assert backend.find("other") is None


def test_a_runner_that_cannot_even_start_is_gone_and_says_why(runs_dir: Path) -> None:
    backend = LocalBackend(runs_dir, python="/no/such/python")
    assert "/no/such/python" in reaches(backend, backend.submit(a_spec(), KEY), RunState.GONE).message
    assert not (runs_dir / KEY / "spec.json").exists()


def test_two_processes_submitting_one_key_start_one_run(runs_dir: Path) -> None:
    code = (
        "import pathlib; p = pathlib.Path('checkpoint/started'); p.open('a').write('x'); import time; time.sleep(600)"
    )
    program = (
        "import sys, pathlib\n"
        "from orchestrator.adapters.trainers.local import LocalBackend\n"
        "from tests.integration.test_local_trainer import KEY, python\n"
        "LocalBackend(pathlib.Path(sys.argv[1])).submit(python(sys.argv[2]), KEY)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(runs_dir), code]
    both = [subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(20) for one in both] == [0, 0]
    started = runs_dir / KEY / "checkpoint" / "started"
    until(started.exists, bool, "the run")
    runners = [one for one in psutil.process_iter() if str(runs_dir) in " ".join(_command_line(one)[:5])]
    assert len([one for one in runners if "orchestrator.adapters.trainers.runner" in _command_line(one)]) == 1
    assert started.read_text() == "x"


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_runs_beyond_the_slots_wait_with_a_heartbeat_and_a_slot_is_given_back(runs_dir: Path) -> None:
    backend = LocalBackend(runs_dir, slots=1)
    first = under_way(backend, python(FOR_EVER))
    backend.submit(python("pass", checkpoint_key="another"), "second")
    seen = until(lambda: backend.observe(["second"])[0], lambda status: status.heartbeat_at is not None, "a word")
    later = until(
        lambda: backend.observe(["second"])[0], lambda status: status.heartbeat_at != seen.heartbeat_at, "a heartbeat"
    )
    assert (later.state, later.message) == (RunState.PENDING, "waiting for a slot")
    os.kill(pid_of(first.runner), signal.SIGKILL)
    reaches(backend, "second", RunState.SUCCEEDED)


def test_two_attempts_never_use_one_checkpoint_at_a_time(backend: LocalBackend) -> None:
    under_way(backend, python(FOR_EVER))
    backend.submit(python("pass"), "second")
    until(lambda: backend.observe(["second"])[0].message, lambda message: message == "waiting for a slot", "a word")
    backend.cancel(KEY, 5)
    reaches(backend, "second", RunState.SUCCEEDED)


def test_more_gpus_than_the_host_has_fail_with_the_reason(backend: LocalBackend) -> None:
    status = ended(backend, python("pass", gpus=2))
    assert status.message == "2 GPUs asked for, this host has 0"


def test_submit_leaves_no_child_behind(backend: LocalBackend) -> None:
    before = psutil.Process().children()
    for number in range(3):
        backend.submit(python("pass", checkpoint_key=str(number)), f"run-{number}")
    assert psutil.Process().children() == before


def test_submit_and_observe_take_no_time(backend: LocalBackend) -> None:
    begun_s = time.monotonic()
    backend.submit(python("pass"), KEY)
    backend.observe([KEY])
    backend.cancel(KEY, 5)
    assert time.monotonic() - begun_s < 2  # a tenth of it on an idle machine


def test_keys_that_are_no_names_are_refused_and_a_broken_disk_is_unavailable(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path / "runs")
    for key in ("../x", "", "a/b", "slots", ".hidden", "x" * 201):
        with pytest.raises(Invalid):
            backend.submit(a_spec(), key)
    (tmp_path / "file").touch()
    with pytest.raises(TrainerUnavailable):
        LocalBackend(tmp_path / "file").submit(a_spec(), KEY)


def test_terminate_all_interrupts_every_run_and_leaves_nothing(backend: LocalBackend, runs_dir: Path) -> None:
    runs = [under_way(backend, python(STUBBORN, checkpoint_key=name), name) for name in ("one", "two")]
    assert terminate_all(runs_dir, grace_s=0.2) == 2
    assert [status.message for status in backend.observe(["one", "two"])] == ["interrupted", "interrupted"]
    assert not [member for run in runs for member in processes.members(run.path)]
    assert terminate_all(runs_dir, grace_s=0.2) == 0


def test_housekeeping_removes_old_runs_and_checkpoints_but_nothing_that_lives(
    backend: LocalBackend, runs_dir: Path
) -> None:
    ended(backend, python("1 / 0", checkpoint_key="old"))
    living = under_way(backend, python(FOR_EVER, checkpoint_key="new"), "living")
    until(lambda: RunDir(runs_dir / KEY).is_alive(), lambda alive: not alive, "the runner's end")
    now = datetime.now(UTC)
    assert housekeeping(runs_dir, timedelta(hours=1), now) == []
    later = now + timedelta(hours=2)
    old = [KEY, rundir.checkpoint_dir(runs_dir, "old").name]
    assert housekeeping(runs_dir, timedelta(hours=1), later, dry_run=True) == old
    assert (runs_dir / KEY).exists()
    assert housekeeping(runs_dir, timedelta(hours=1), later) == old
    assert not (runs_dir / KEY).exists()
    assert living.is_alive()


def test_a_pid_of_another_process_is_not_taken_for_ours(tmp_path: Path) -> None:
    path = tmp_path / "runner.json"
    processes.record(path, os.getpid())
    assert processes.recorded(path) == os.getpid()
    rundir.write_json(path, {"pid": os.getpid(), "identity": "an earlier process"})
    assert processes.recorded(path) is None
    rundir.write_json(path, {"pid": os.getpid(), "identity": None})
    assert processes.recorded(path) is None
