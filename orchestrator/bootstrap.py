"""Builds everything once per process from its settings. Nothing connects before it is used, so a fork may follow."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import structlog

from orchestrator.adapters.celery_waker import CeleryWaker, NullWaker
from orchestrator.adapters.courier import HttpCourier
from orchestrator.adapters.db.database import Database
from orchestrator.adapters.s3.options import S3Options, StoreKind
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.adapters.secret_box import FernetBox
from orchestrator.adapters.trainers.instant import InstantBackend
from orchestrator.adapters.trainers.local import LocalBackend
from orchestrator.app.app import App
from orchestrator.app.context import Context, Pool, Timing
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.parts import build_prober, profiles_of
from orchestrator.ports.trainer import TrainerBackend
from orchestrator.ports.waker import Waker
from orchestrator.settings import BadSettings, Settings
from orchestrator.settings.load import variable_of
from orchestrator.settings.schema import PoolSettings

log = structlog.get_logger()


def build_app(settings: Settings, *, waker: Waker | None = None) -> App:
    """All use cases. Raises as `build_context` does."""
    return App(build_context(settings, waker=waker))


def build_context(settings: Settings, *, waker: Waker | None = None) -> Context:
    """Ports, profiles and timing.

    Args:
        waker: in place of the one for the configured broker.

    Raises:
        BadSettings: something necessary is not set, a profile is wrong or names a pool that is not there.
        Invalid: values that do not fit each other, such as an access key without its secret.
    """
    _require("database.url", settings.database.url.get_secret_value())
    _require("secrets.encryption_key", settings.secrets.encryption_key.get_secret_value())
    profiles = profiles_of(settings)
    store = store_options(settings)
    return Context(
        store=build_database(settings, profiles),
        storage=S3Storage(store),
        prober=build_prober(settings),
        pools={name: Pool(_backend(pool, store), pool.slots) for name, pool in settings.pools.items()},
        waker=waker or build_waker(settings),
        secret_box=FernetBox([key.strip() for key in settings.secrets.encryption_key.get_secret_value().split(",")]),
        profiles=profiles,
        timing=Timing(**{field.name: getattr(settings.timing, field.name) for field in dataclasses.fields(Timing)}),
        courier=HttpCourier(settings.storage.thumbnail_stores),
        batch=settings.worker.batch,
    )


def build_database(settings: Settings, profiles: Collection[str] | None = None) -> Database:
    """The database of the settings; with `profiles`, work on jobs of others is left to those who have them."""
    url = settings.database.url.get_secret_value()
    return Database(url, pool_size=settings.database.pool_size, profiles=profiles)


def refuse_other_schema(settings: Settings) -> None:
    """Before a process begins: is its database one that this version may work on?

    A database that does not answer is no reason not to begin: it is asked again before the first work.

    Raises:
        OtherSchema: it is not.
        BadSettings, Invalid: as `build_context`.
    """
    _require("database.url", settings.database.url.get_secret_value())
    database = build_database(settings)
    try:
        database.ping()
    except DatabaseUnavailable as exc:
        log.warning("schema_not_checked", error=exc.message)
    finally:
        database.dispose()


def build_waker(settings: Settings) -> Waker:
    """Wakes through the configured broker; without one nobody is woken, and timers do it all."""
    if settings.broker.kind == "none":
        return NullWaker()
    return CeleryWaker(settings.broker.url.get_secret_value(), prefix=settings.broker.prefix)


def store_options(settings: Settings) -> S3Options:
    """The object store of the settings. Raises Invalid for values that do not fit each other."""
    store = settings.storage
    _require("storage.bucket", store.bucket)
    return S3Options(
        endpoint=store.endpoint,
        public_endpoint=store.public_endpoint,
        bucket=store.bucket,
        region=store.region,
        profile=StoreKind(store.profile),
        addressing=store.addressing,
        access_key=store.access_key,
        secret_key=store.secret_key.get_secret_value(),
        session_token=store.session_token.get_secret_value(),
        signer_access_key=store.signer_access_key,
        signer_secret_key=store.signer_secret_key.get_secret_value(),
    )


def _backend(pool: PoolSettings, store: S3Options) -> TrainerBackend:
    if pool.backend == "instant":
        return InstantBackend()  # claims no files, so that nothing has to be in the store
    return LocalBackend(
        pool.runs_dir,
        slots=pool.slots,
        gpus=pool.gpus,
        store=dataclasses.asdict(store),
        environment=pool.environment,
    )


def _require(name: str, value: str) -> None:
    if not value:
        raise BadSettings([f"{name} is not set; set {variable_of(name)} or put it in the configuration file"])
