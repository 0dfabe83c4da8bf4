"""Real servers for tests and benchmarks, started by us on loopback, stopped by their own pid.

    with Postgres() as postgres, RedisServer() as redis:
        ... postgres.url, redis.url

Each can be stopped, killed and started again on the same data and the same port, which is what the fault tests do.
They end with the process that started them, also when it is killed.
"""

from tests.servers.base import Server, ServerFailed, ServerMissing
from tests.servers.postgres import Databases, Postgres
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.redis import FakeRedisServer, RedisServer
from tests.servers.store import StoreServer

__all__ = [
    "Databases",
    "FakeRedisServer",
    "Postgres",
    "RabbitMQ",
    "RedisServer",
    "Server",
    "ServerFailed",
    "ServerMissing",
    "StoreServer",
]
