"""What every test may ask for: databases, brokers and a store, all real, all on loopback, all ours.

A server starts when the first test asks for it and serves the whole session. A test whose server this machine cannot
have is skipped with the reason, or fails if `UNDERSTUDY_REQUIRE` names the server (as `.ci/run` does).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.contract.storage_servers import Stores
from tests.databases import Factory, PostgresDatabases, SQLiteFiles
from tests.servers import Databases, Postgres, RabbitMQ, RedisServer, Server, ServerMissing, StoreServer

HERE = Path(__file__).parent
ORDER = ("unit", "simulation", "contract", "dialects", "integration", "e2e", "faults", "bench")  # cheapest first

# Time limits per example make slow machines fail; pytest-timeout catches what hangs.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("default"), max_examples=200, print_blob=True, derandomize=True)
settings.register_profile("nightly", settings.get_profile("default"), max_examples=5000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

# As long as nothing is configured, structlog draws every traceback with all its local variables: seconds each.
structlog.configure([structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Unit tests first and without network; inside a group the order stays as pytest-randomly shuffled it.

    Under pytest-xdist it is the other way round: what takes long begins first, and small change fills up the end, so
    that all processes end together. What shares something dear stays in one process.
    """
    for item in items:
        if group_of(item) == "unit":
            item.add_marker(pytest.mark.disable_socket)
        item.add_marker(pytest.mark.xdist_group(shares(item)))
    parallel = hasattr(config, "workerinput")

    def place(item: pytest.Item) -> tuple[bool, int]:
        order = ORDER.index(group_of(item)) if group_of(item) in ORDER else len(ORDER)
        return (shares(item) != "stores", -order) if parallel else (False, order)

    items.sort(key=place)


def group_of(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""


def shares(item: pytest.Item) -> str:
    """What is dear to make and needed by several files, else the file itself."""
    for fixture in ("stores", "dev"):
        if fixture in getattr(item, "fixturenames", ()):
            return fixture
    uses = vars(getattr(item, "module", None) or object).values()
    names = {getattr(each, "__module__", "") for each in uses}
    return "samples" if names & {"tests.media_samples", "tests.media_odd"} else str(item.path)


def started(make: Callable[[], Server]) -> Iterator[Server]:
    """One server for the session; skip, or fail where it is required, if this machine has none."""
    try:
        server = make()
        server.start()
    except ServerMissing as exc:
        required = os.environ.get("UNDERSTUDY_REQUIRE", "").split(",")
        (pytest.fail if make.__name__.lower() in required else pytest.skip)(str(exc))
    try:
        yield server
    finally:
        server.close()


# -- databases ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this session. Tests that crash one start their own: `with Postgres(fsync=True) as server`."""
    yield from started(Postgres)


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SQLiteFiles:
    return SQLiteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres_databases(request: pytest.FixtureRequest) -> Iterator[PostgresDatabases]:
    """Databases of the server that `DATABASE_URL` names, else of one of our own."""
    given = os.environ.get("DATABASE_URL")
    own = Databases(given) if given else request.getfixturevalue("postgres").databases
    databases = PostgresDatabases(own)
    yield databases
    databases.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Factory:
    name = {"sqlite": "sqlite_files", "postgresql": "postgres_databases"}[request.param]
    return request.getfixturevalue(name)


@pytest.fixture
def database_url(databases: Factory) -> Iterator[str]:
    """A fresh database with the current schema; the test runs on SQLite and on PostgreSQL."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Factory) -> Iterator[str]:
    """A fresh database with nothing in it; the test runs on SQLite and on PostgreSQL."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def postgresql_url(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """A fresh PostgreSQL database with the current schema, for what only concerns PostgreSQL."""
    with postgres_databases.migrated() as url:
        yield url


@pytest.fixture
def sqlite_url(sqlite_files: SQLiteFiles) -> Iterator[str]:
    """A fresh SQLite database with the current schema, for tests that are not about the database."""
    with sqlite_files.migrated() as url:
        yield url


# -- brokers --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    yield from started(RedisServer)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """A real Redis, empty."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[RabbitMQ]:
    yield from started(RabbitMQ)


@pytest.fixture
def rabbitmq_url(rabbitmq_server: RabbitMQ) -> str:
    """A real RabbitMQ. Queues of other tests may be there: give yours names of their own."""
    return rabbitmq_server.url


@pytest.fixture(params=["redis", "rabbitmq"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """The test runs on Redis and on RabbitMQ."""
    return request.getfixturevalue(f"{request.param}_url")


# -- object store ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ObjectStore:
    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@pytest.fixture(scope="session")
def store_server() -> Iterator[StoreServer]:
    yield from started(StoreServer)


@pytest.fixture
def object_store(store_server: StoreServer) -> ObjectStore:
    """An S3 endpoint that checks signatures. Objects of other tests may be there: use keys of your own."""
    return ObjectStore(store_server.url, store_server.bucket, store_server.access_key, store_server.secret_key)


@pytest.fixture(scope="session")
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """Real stores of several makes, and the fake, for the whole session. Those that its tests name start together."""
    named = {
        value
        for item in request.session.items
        for value in getattr(getattr(item, "callspec", None), "params", {}).values()
        if isinstance(value, str)
    }
    stores = Stores(named)
    yield stores
    stores.close()
