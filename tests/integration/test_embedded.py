"""The parts of `understudy dev` under its supervisor: killed, they come back with their data at the same address."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import kombu
import pytest
import redis
from botocore.exceptions import BotoCoreError, ClientError

from orchestrator.embedded.kept import Kept
from orchestrator.embedded.process import Child
from orchestrator.embedded.redis import Broker, broker, find_server
from orchestrator.embedded.store import Store, find_rclone, store
from orchestrator.embedded.supervisor import Event, EventKind, Supervisor
from tests.workers import wait_until

ROOT = Path(__file__).parents[2]


@pytest.fixture
def the_broker(tmp_path, request) -> Broker:
    kept = Kept(tmp_path)
    server = find_server() if getattr(request, "param", "real") == "real" else None
    if server is None and getattr(request, "param", "real") == "real":
        pytest.skip("no Redis binary on this machine")
    return broker(tmp_path / "r", port=kept.port("broker"), password=kept.secret("broker"), server=server)


@pytest.fixture
def the_store(tmp_path) -> Store:
    kept = Kept(tmp_path)
    return store(
        tmp_path / "objects",
        rclone=find_rclone(),
        port=kept.port("store"),
        bucket="understudy",
        access_key="AKDEMO",
        secret_key=kept.secret("store"),
    )


def child(name: str, part: Broker | Store, where: Path) -> Child:
    env = dict(part.env) if isinstance(part, Store) else {"PATH": os.defpath}
    return Child(name=name, argv=part.argv, env=env, cwd=ROOT, log_path=where / f"{name}.log", ready=part.ready)


class Running:
    """A started supervisor that restarts children while the test body runs in a thread."""

    def __init__(self, supervisor: Supervisor, seen: list[Event]) -> None:
        self.supervisor = supervisor
        self.seen = seen

    def kill_and_wait_for(self, name: str) -> None:
        """Kill one child and wait until the one started in its place is ready."""
        readies = self._readies(name)
        os.kill(self.supervisor.pids()[name], 9)
        thread = threading.Thread(target=self._stop_when_ready, args=(name, readies))
        self.supervisor._wakeups.stop_requested = False
        thread.start()
        self.supervisor.wait()
        thread.join()
        assert self._readies(name) == readies + 1, f"{name} did not come back: {self.seen}"

    def _readies(self, name: str) -> int:
        return sum(event.kind is EventKind.READY and event.child == name for event in self.seen)

    def _stop_when_ready(self, name: str, readies: int) -> None:
        deadline_s = time.monotonic() + 20
        while self._readies(name) == readies and time.monotonic() < deadline_s:
            time.sleep(0.02)
        self.supervisor.request_stop()


@pytest.fixture
def running(tmp_path, the_broker, the_store) -> Iterator[Running]:
    seen: list[Event] = []
    children = [child("broker", the_broker, tmp_path), child("store", the_store, tmp_path)]
    with Supervisor(children, tmp_path, seen.append) as supervisor:
        supervisor.start()
        yield Running(supervisor, seen)


def publish(url: str, body: str) -> None:
    with kombu.Connection(url) as connection, connection.SimpleQueue("kept") as queue:
        queue.put(body)


def receive(url: str) -> str:
    with kombu.Connection(url) as connection, connection.SimpleQueue("kept") as queue:
        message = queue.get(timeout=5)
        message.ack()
        return message.payload


def await_written(url: str) -> None:
    """While Redis waits for a slow disk it keeps the last two seconds to itself, and may lose them."""
    with redis.Redis.from_url(url.replace("redis+socket://", "unix://")) as client:
        wait_until(lambda: client.info("persistence")["aof_buffer_length"] == 0, 20)


def test_a_killed_broker_comes_back_with_its_messages_at_the_same_address(running, the_broker):
    publish(the_broker.url, "before")
    await_written(the_broker.url)
    running.kill_and_wait_for("broker")
    assert receive(the_broker.url) == "before"


@pytest.mark.parametrize("the_broker", ["fake"], indirect=True)
def test_a_killed_fake_broker_comes_back_empty_at_the_same_address(running, the_broker):
    publish(the_broker.url, "before")
    running.kill_and_wait_for("broker")
    publish(the_broker.url, "after")
    assert receive(the_broker.url) == "after"


def test_a_killed_store_comes_back_with_its_objects_at_the_same_address(running, the_store, tmp_path):
    def client(secret_key: str):
        return boto3.client(
            "s3",
            endpoint_url=the_store.endpoint,
            region_name="us-east-1",
            aws_access_key_id="AKDEMO",
            aws_secret_access_key=secret_key,
        )

    good = client(Kept(tmp_path).secret("store"))
    good.put_object(Bucket="understudy", Key="k", Body=b"1")
    running.kill_and_wait_for("store")
    assert good.get_object(Bucket="understudy", Key="k")["Body"].read() == b"1"
    with pytest.raises((ClientError, BotoCoreError)):
        client("wrong").list_objects_v2(Bucket="understudy")
