"""The HTTP process as it is run: a real server on a real socket, wake-ups through real brokers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from kombu import Connection

from orchestrator.adapters.broker_check import check_broker
from orchestrator.adapters.celery_options import QUEUES, broker_options
from orchestrator.adapters.celery_waker import CeleryWaker
from orchestrator.adapters.secret_box import new_key
from orchestrator.bootstrap import build_app
from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Unavailable
from orchestrator.settings import load
from tests.conftest import ObjectStore

PATIENCE_S = 60.0


def eventually(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if look():
            return True
        time.sleep(0.02)
    return False


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def environment(sqlite_url: str, object_store: ObjectStore) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "UNDERSTUDY_DATABASE__URL": sqlite_url,
        "UNDERSTUDY_SECRETS__ENCRYPTION_KEY": new_key(),
        "UNDERSTUDY_STORAGE__ENDPOINT": object_store.endpoint,
        "UNDERSTUDY_STORAGE__BUCKET": object_store.bucket,
        "UNDERSTUDY_STORAGE__ACCESS_KEY": object_store.access_key,
        "UNDERSTUDY_STORAGE__SECRET_KEY": object_store.secret_key,
        "UNDERSTUDY_API__PORT": str(free_port()),
    }


@pytest.fixture
def served(environment: dict[str, str], tmp_path: Path) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes], Path]]:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.http"], env=environment, stderr=file, stdout=file
        )
    base = f"http://127.0.0.1:{environment['UNDERSTUDY_API__PORT']}"
    try:
        with httpx.Client(base_url=base, timeout=10) as http:
            assert eventually(lambda: _answers(http)), log.read_text()
            yield http, process, log
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/livez").is_success
    except httpx.TransportError:
        return False


def test_an_upload_through_the_served_api_lands_in_a_real_store(served, environment: dict[str, str]):
    http, process, log = served
    app = build_app(load(environ=environment))
    app.keys.add_project("p")
    key = app.keys.create("p", Role.USER, "ada")
    http.headers["Authorization"] = f"Bearer {key.token}"
    assert http.get("/readyz").json() == {"status": "ok", "parts": {"database": "ok", "store": "ok"}}

    job = http.post("/api/v1/jobs", json={"profile": "avatar", "name": "Ada"}).json()
    told = {"kind": "cover", "name": "c.png", "size_bytes": 5}
    opened = http.post(f"/api/v1/jobs/{job['id']}/files", json=told).json()
    url = opened["urls"][0]["url"]
    assert httpx.put(url, content=b"12345").is_success
    sealed = http.post(f"/api/v1/files/{opened['file']['id']}/complete").json()
    assert (sealed["state"], sealed["size_bytes"]) == ("sealed", 5)
    assert httpx.get(sealed["download_url"]).content == b"12345"

    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)
    text = log.read_text()
    assert [json.loads(line)["event"] for line in text.splitlines()].count("request") >= 5
    for secret in (key.token, "X-Amz-Signature", environment["UNDERSTUDY_STORAGE__SECRET_KEY"]):
        assert secret not in text


@pytest.mark.parametrize("missing", [{"UNDERSTUDY_BROKER__URL": "redis://127.0.0.1:1/0"}])
def test_a_broker_that_is_away_makes_the_service_worse_but_not_unready(environment, missing, tmp_path: Path):
    from orchestrator.http.server import create_asgi
    from tests.fakes.client import AsgiClient

    del tmp_path
    with AsgiClient(create_asgi(load(environ=environment | missing))) as client:
        answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["parts"]["broker"].startswith("the broker does not answer")


def test_without_its_database_the_service_is_not_ready(environment: dict[str, str]):
    from orchestrator.http.server import create_asgi
    from tests.fakes.client import AsgiClient

    away = {"UNDERSTUDY_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/x"}
    with AsgiClient(create_asgi(load(environ=environment | away))) as client:
        answer = client.get("/readyz")
        numbers = client.get("/metrics").text
        asked = client.get("/api/v1/jobs", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert "understudy_database_up 0.0" in numbers
    assert (asked.status_code, asked.json()["code"]) == (503, "database_unavailable")
    assert asked.headers["retry-after"]


def test_wake_ups_reach_their_queues_coalesced(broker_url: str):
    check_broker(broker_url)
    waker = CeleryWaker(broker_url)
    for _ in range(500):
        waker.wake("verify")
        waker.wake("observe_runs")
    waker.close(PATIENCE_S)
    for queue, task in zip(QUEUES, ("effects.verify", "sweeps.observe_runs"), strict=True):
        got = drained(broker_url, queue)
        assert set(got) == {task}
        assert len(got) < 100


def drained(url: str, queue: str) -> list[str]:
    options = broker_options(url)
    [declared] = [each for each in options["task_queues"] if each.name == queue]  # type: ignore[attr-defined]  # a list
    names = []
    with Connection(url, transport_options=options["broker_transport_options"]) as connection:
        bound = declared(connection.channel())
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            message = bound.get(no_ack=True)
            if message is None and names:
                break
            if message is not None:
                names.append(message.headers["task"])
    return names


def test_a_waker_goes_on_in_a_forked_child(redis_url: str):
    waker = CeleryWaker(redis_url)
    waker.wake("verify")
    child = os.fork()
    if child == 0:
        waker.wake("publish")
        waker.close(PATIENCE_S)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    waker.close(PATIENCE_S)
    assert sorted(drained(redis_url, "effects")) == ["effects.publish", "effects.verify"]


def test_a_fork_waits_while_the_thread_of_a_waker_imports(redis_url: str):
    """In an interpreter of its own: in this one everything is imported already."""
    forks = f"""
import os
from orchestrator.adapters.celery_waker import CeleryWaker
waker = CeleryWaker({redis_url!r})
waker.wake("verify")
child = os.fork()
waker.wake("publish" if child == 0 else "dispatch")
waker.close({PATIENCE_S})
os._exit(0 if child == 0 else os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", forks], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert set(drained(redis_url, "effects")) == {"effects.publish", "effects.verify", "effects.dispatch"}


def test_a_dead_broker_costs_the_caller_nothing():
    waker = CeleryWaker("redis://127.0.0.1:1/0")
    began = time.perf_counter()
    for _ in range(1000):
        waker.wake("verify")
    assert time.perf_counter() - began < 1
    waker.close()
    with pytest.raises(Unavailable):
        check_broker("redis://:hunter2@127.0.0.1:1/0")


def test_what_is_not_set_is_one_line_and_no_stack_trace(environment: dict[str, str]) -> None:
    del environment["UNDERSTUDY_STORAGE__BUCKET"]
    command = [sys.executable, "-m", "orchestrator.http"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "the configuration is wrong: storage.bucket is not set; set UNDERSTUDY_STORAGE__BUCKET or put it in the "
        "configuration file\n"
    )
