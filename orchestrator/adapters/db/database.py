"""Transactions: everything one use case writes, and what is done once it is committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa
import structlog

from orchestrator.adapters.db import schema
from orchestrator.adapters.db.deliveries import SqlDeliveries
from orchestrator.adapters.db.engine import make_engine
from orchestrator.adapters.db.files import SqlFiles
from orchestrator.adapters.db.jobs import SqlJobs
from orchestrator.adapters.db.library import SqlLibrary
from orchestrator.adapters.db.media import SqlMedia
from orchestrator.adapters.db.nonces import SqlNonces
from orchestrator.adapters.db.reads import SqlReads
from orchestrator.adapters.db.records import SqlAssets, SqlComments, SqlIdempotency, SqlKeys, SqlLeases
from orchestrator.adapters.db.runs import SqlRuns
from orchestrator.adapters.db.secrets import SqlAudit, SqlSecrets
from orchestrator.domain.errors import DatabaseUnavailable, Invalid

log = structlog.get_logger()


class SqlTx:
    """One transaction's view of every table."""

    def __init__(self, connection: sa.Connection, shard: int, profiles: Sequence[str] | None) -> None:
        self._connection, self._shard, self._profiles = connection, shard, profiles
        self.callbacks: list[Callable[[], None]] = []

    # made when they are asked for: most transactions need two or three of them
    jobs = cached_property(lambda self: SqlJobs(self._connection, self._shard, self._profiles))
    files = cached_property(lambda self: SqlFiles(self._connection))
    runs = cached_property(lambda self: SqlRuns(self._connection, self._profiles))
    reads = cached_property(lambda self: SqlReads(self._connection))
    keys = cached_property(lambda self: SqlKeys(self._connection))
    audit = cached_property(lambda self: SqlAudit(self._connection))
    secrets = cached_property(lambda self: SqlSecrets(self._connection))
    comments = cached_property(lambda self: SqlComments(self._connection))
    assets = cached_property(lambda self: SqlAssets(self._connection))
    library = cached_property(lambda self: SqlLibrary(self._connection))
    media = cached_property(lambda self: SqlMedia(self._connection))
    leases = cached_property(lambda self: SqlLeases(self._connection))
    idempotency = cached_property(lambda self: SqlIdempotency(self._connection))
    nonces = cached_property(lambda self: SqlNonces(self._connection))
    deliveries = cached_property(lambda self: SqlDeliveries(self._connection))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call back once everything is durable; what it raises is logged and forgotten (wake-ups are best effort)."""
        self.callbacks.append(callback)


class Database:
    """The database of one process. Connections are made on first use and again after a fork.

    Args:
        profiles: those that this process has. It works on no job of another one, and everybody may look at all of them.
    """

    def __init__(self, url: str, *, pool_size: int = 5, profiles: Collection[str] | None = None) -> None:
        self._url = url
        self._profiles = None if profiles is None else sorted(profiles)
        self._pool_size = pool_size
        self._engines: tuple[sa.Engine, sa.Engine] | None = None
        self._pid = 0

    @property
    def engine(self) -> sa.Engine:
        """For transactions."""
        return self._pair()[0]

    @property
    def single(self) -> sa.Engine:
        """For statements that are a transaction of their own."""
        return self._pair()[1]

    def _pair(self) -> tuple[sa.Engine, sa.Engine]:
        if self._engines is None or self._pid != os.getpid():
            # a child must not speak on its parent's sockets: it forgets them without closing
            self._dispose(close=False)
            engine = make_engine(self._url, pool_size=self._pool_size)
            single = engine
            if engine.dialect.name == "postgresql":
                single = make_engine(self._url, pool_size=self._pool_size, single=True)
            self._engines, self._pid = (engine, single), os.getpid()
        return self._engines

    @contextmanager
    def begin(self) -> Iterator[SqlTx]:
        """A transaction: committed at the end of the block, rolled back by an exception.

        Raises:
            DatabaseUnavailable: the server does not answer; whether a commit under way was done is then unknown.
        """
        with connected(self.engine) as connection, connection.begin():
            tx = SqlTx(connection, self._pid, self._profiles)
            yield tx
        for callback in tx.callbacks:
            try:
                callback()
            except Exception:  # the commit stands; a sweep sends what a callback could not
                log.warning("after_commit_failed", exc_info=True)

    @contextmanager
    def lease(self) -> Iterator[SqlTx]:
        """For leases and nonces: on PostgreSQL no statement waits for the disk (2 to 10 ms), and each stands by itself.

        A lease that a crash of the server forgets costs a step done twice; its second write loses. A nonce that it
        forgets lets a request be replayed that somebody caught in that moment.
        """
        if self.engine.dialect.name != "postgresql":
            with self.begin() as tx:
                yield tx
            return
        with connected(self.single) as connection:
            yield SqlTx(connection, self._pid, self._profiles)

    @contextmanager
    def read(self) -> Iterator[SqlTx]:
        """Reads without a transaction of their own: each statement is its own snapshot."""
        with connected(self.single) as connection:
            if connection.dialect.name != "postgresql":
                connection = connection.execution_options(read_only=True)  # noqa: PLW2901  the same one
            yield SqlTx(connection, self._pid, self._profiles)

    def ping(self) -> None:
        """Raises DatabaseUnavailable when the database does not answer, OtherSchema if it is none for this version."""
        with connected(self.single) as connection:
            schema.check(connection.execution_options(read_only=True))

    def dispose(self) -> None:
        """Close every connection."""
        self._dispose(close=True)

    def _dispose(self, *, close: bool) -> None:
        for engine in self._engines or ():
            engine.dispose(close=close)
        self._engines = None


@contextmanager
def connected(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection for the block, with `translated`."""
    with translated():
        try:
            connection = engine.connect()
        except sa.exc.InvalidRequestError as exc:  # the pool's word when each of its tries met a server that was ending
            raise DatabaseUnavailable("the database closes its connections") from exc
        with connection:
            yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the driver as errors of the domain."""
    try:
        yield
    except (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError) as exc:
        raise DatabaseUnavailable(f"the database does not answer: {type(exc.__cause__ or exc).__name__}") from exc
    except sa.exc.DataError as exc:  # a text with NUL, a number out of range: what came in, not what we do
        raise Invalid(f"the database cannot hold a value: {type(exc.__cause__ or exc).__name__}") from exc
    except sa.exc.DBAPIError as exc:
        if not exc.connection_invalidated:
            raise
        raise DatabaseUnavailable(f"the database went away: {type(exc.__cause__ or exc).__name__}") from exc
