"""`understudy dev` as a process tree: what it tells, what it survives, and that it leaves nothing behind."""

import os
import signal
import stat

import psutil
import pytest

from orchestrator.embedded.stack import answers
from tests.e2e.conftest import Cli, poll

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KEYS = {
    "endpoint", "project_id", "access_key", "secret_key", "admin_token", "reviewer_token", "user_token",
    "database_url", "broker_url", "s3", "pids",
}  # fmt: skip
SAME = KEYS - {"pids"}


def lives(process: psutil.Process) -> bool:
    """Not a zombie either, which only waits for a slow init to look at it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def in_training(cli: Cli, job: str) -> bool:
    return any(run["outcome"] == "running" for run in cli.json("job", "show", job)["runs"])


def approved_job(cli: Cli, video) -> str:
    job = cli("job", "create", "--profile", "avatar", "--name", "Ada").strip()
    cli("job", "upload", job, video)
    cli("job", "submit", job)
    cli("job", "wait", job, "--until", "manual_verifying")
    cli("review", "approve", job)
    return job


def test_it_tells_where_everything_is_and_keeps_its_secrets_to_its_owner(dev):
    facts = dev.facts()
    assert set(facts) == KEYS
    assert set(facts["s3"]) == {"endpoint", "bucket", "access_key", "secret_key"}
    assert set(facts["pids"]) == {"broker", "store", "api", "worker", "beat"}
    for name in ("dev.json", "kept.json", "understudy.toml"):
        assert stat.S_IMODE((dev.data_dir / name).stat().st_mode) == 0o600
    secrets = (facts["secret_key"], facts["admin_token"], facts["s3"]["secret_key"])
    for process in dev.processes():
        assert not any(secret in " ".join(process.cmdline()) for secret in secrets)


def test_everything_listens_on_loopback_only(dev):
    pids = {process.pid for process in dev.processes()}
    listening = [
        each.laddr.ip for each in psutil.net_connections("inet") if each.pid in pids and each.status == "LISTEN"
    ]
    assert listening
    assert set(listening) == {"127.0.0.1"}


def test_a_directory_in_use_and_a_taken_port_are_refused(dev, tmp_path):
    cli = Cli(dev.data_dir, tmp_path)
    second = cli.run("dev", "--data-dir", dev.data_dir, "--port", "1", exit_code=1, dev=False)
    assert f"in use by another `understudy dev` (pid {dev.pid})" in second.stderr
    taken = cli.run("dev", "--data-dir", tmp_path / "other", "--port", dev.port, exit_code=2, dev=False)
    assert "is taken" in taken.stderr
    assert dev.facts()["endpoint"].endswith(str(dev.port))


def test_it_survives_its_children_and_its_own_end_and_leaves_nothing_running(own_dev, good_video, tmp_path):
    dev = own_dev().start()
    cli = Cli(dev.data_dir, tmp_path)
    job = approved_job(cli, good_video)
    first = dev.facts()
    for name in ("worker", "api", "broker"):
        os.kill(first["pids"][name], signal.SIGKILL)
    poll("all are back", lambda: _all_back(dev.facts()["pids"], first["pids"], {"worker", "api", "broker"}))
    poll("the API answers again", lambda: answers(f"{first['endpoint']}/readyz"), 60)

    poll("the training runs", lambda: in_training(cli, job))
    processes = dev.processes()
    assert len(processes) > len(first["pids"]), "trainer and pool processes are seen"
    assert dev.signal(signal.SIGINT) == 0
    assert dev.processes() == []
    poll("all have ended", lambda: not [each for each in processes if lives(each)], 5)
    assert not (dev.data_dir / "dev.json").exists()
    assert "nothing runs on" in cli.run("job", "list", exit_code=3).stderr

    again = dev.start().facts()
    assert {key: again[key] for key in SAME} == {key: first[key] for key in SAME}
    assert cli.json("job", "wait", job, "--timeout", "150")["state"] == "job_success"
    assert dev.signal(signal.SIGTERM) == 0
    assert dev.processes() == []


def _all_back(now: dict[str, int], before: dict[str, int], killed: set[str]) -> bool:
    return set(now) == set(before) and all(now[name] != before[name] for name in killed)


def test_killed_itself_it_takes_everything_along(own_dev):
    dev = own_dev("--no-worker").start()
    assert set(dev.facts()["pids"]) == {"broker", "store", "api", "beat"}
    assert dev.processes()
    dev.signal(signal.SIGKILL)
    poll("nothing runs any more", lambda: not dev.processes())
