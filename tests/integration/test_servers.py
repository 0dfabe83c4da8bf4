"""The servers that other tests rest on: they answer, keep their data and their address, and end with their owner."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import amqp
import boto3
import psutil
import psycopg
import pytest
import redis
import sqlalchemy as sa
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.conftest import ObjectStore
from tests.servers import FakeRedisServer, Postgres, RabbitMQ, RedisServer, ServerFailed, StoreServer

ROOT = Path(__file__).parents[2]


def s3(store: ObjectStore | StoreServer, secret_key: str | None = None):
    endpoint = store.endpoint if isinstance(store, ObjectStore) else store.url
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=store.access_key,
        aws_secret_access_key=secret_key or store.secret_key,
        config=Config(retries={"total_max_attempts": 1}),
    )


def rows(url: str) -> int:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def test_postgres_keeps_committed_rows_through_stop_power_cut_and_kill():
    with Postgres(fsync=True) as server:
        with psycopg.connect(server.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept VALUES (1)")
        for end in (server.stop, server.stop_immediately, server.kill):
            end()
            assert not server.running
            server.start()
            assert rows(server.url) == 1


def test_postgres_on_a_broken_data_directory_says_why():
    with Postgres() as server:
        server.stop()
        (server.data_dir / "PG_VERSION").write_text("1\n", encoding="ascii")
        with pytest.raises(ServerFailed, match="not compatible"):
            server.start()


def test_each_test_gets_a_database_of_its_own(databases):
    with databases.empty() as one, databases.empty() as two:
        for url in (one, two):
            engine = sa.create_engine(url)
            with engine.begin() as connection:
                connection.execute(sa.text("CREATE TABLE only_here (n int)"))
            engine.dispose()


def test_redis_keeps_messages_through_a_restart():
    with RedisServer() as server:
        with redis.Redis.from_url(server.url) as client:
            client.lpush("queue", "message")
        server.restart()
        with redis.Redis.from_url(server.url) as client:
            assert client.lrange("queue", 0, -1) == [b"message"]
        server.flush()
        with redis.Redis.from_url(server.url) as client:
            assert client.exists("queue") == 0


def test_a_paused_redis_answers_nothing_until_it_is_resumed():
    with RedisServer() as server, redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert client.ping()


def test_fakeredis_runs_the_scripts_that_locks_need():
    with FakeRedisServer() as server, redis.Redis.from_url(server.url, retry=None) as client:
        for _ in range(20):
            with client.lock("lock", timeout=5):
                assert client.exists("lock")
            client.script_flush()


def test_fakeredis_keeps_the_connection_after_an_error():
    with FakeRedisServer() as server, redis.Redis.from_url(server.url, retry=None) as client:
        number = client.client_id()
        client.set("text", "a")
        for _ in range(20):
            with pytest.raises(redis.ResponseError):
                client.incr("text")
        assert client.client_id() == number


def test_rabbitmq_keeps_durable_messages_through_a_restart(rabbitmq_server: RabbitMQ):
    address = {"host": f"127.0.0.1:{rabbitmq_server.port}", "userid": "guest", "password": "guest"}
    with amqp.Connection(**address) as connection:
        channel = connection.channel()
        channel.queue_declare("kept", durable=True, auto_delete=False)
        channel.confirm_select()
        channel.basic_publish_confirm(amqp.Message("message", delivery_mode=2), routing_key="kept")
    rabbitmq_server.restart()
    with amqp.Connection(**address) as connection:
        assert connection.channel().basic_get("kept", no_ack=True).body == "message"


def test_the_store_keeps_objects_through_a_restart_and_refuses_a_wrong_secret():
    with StoreServer() as server:
        s3(server).put_object(Bucket=server.bucket, Key="a/b", Body=b"bytes")
        server.restart()
        assert s3(server).get_object(Bucket=server.bucket, Key="a/b")["Body"].read() == b"bytes"
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            s3(server, secret_key="another").get_object(Bucket=server.bucket, Key="a/b")


def test_the_shared_store_takes_objects(object_store):
    s3(object_store).put_object(Bucket=object_store.bucket, Key="shared/one", Body=b"1")
    assert s3(object_store).head_object(Bucket=object_store.bucket, Key="shared/one")["ContentLength"] == 1


OWNER = """
import signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, we would ignore it
from tests.servers import FakeRedisServer, Postgres, StoreServer
servers = [Postgres(), StoreServer(), FakeRedisServer()]
for server in servers:
    server.start()
print(*(server.pid for server in servers), *(server.dir for server in servers), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_servers_end_with_their_owner_even_if_it_is_killed(ending):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        words = owner.stdout.readline().split()
        servers = [psutil.Process(int(pid)) for pid in words[:3]]
        os.kill(owner.pid, ending)
        owner.wait(30)
    deadline_s = time.monotonic() + 20
    while any(server.is_running() and server.status() != psutil.STATUS_ZOMBIE for server in servers):
        assert time.monotonic() < deadline_s, f"still running: {servers}"
        time.sleep(0.05)
    for directory in words[3:]:  # a killed owner cannot remove its data
        shutil.rmtree(directory, ignore_errors=True)
