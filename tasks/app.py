"""The Celery application: `celery -A tasks.app worker` and `celery -A tasks.app beat`.

Nothing is opened before the fork: each pool process builds its own app, with its own connections and timers. At SIGTERM
a worker takes no further message, the drains under way end after the batch they are at, and what they held is due at
once for others.
"""

from __future__ import annotations

import logging
from typing import Any

import structlog
from billiard.util import get_logger as pool_logger
from celery import Celery
from celery.signals import (
    beat_init,
    celeryd_after_setup,
    setup_logging,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_shutdown,
    worker_shutting_down,
)

from orchestrator.bootstrap import build_context, refuse_other_schema
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.logs import configure_logging
from orchestrator.settings import load
from tasks import stopping
from tasks.config import SHUTDOWN_S, celery_settings
from tasks.process import process, stop_process
from tasks.schedule import beat_schedule

_settings = load()
app = Celery("understudy", include=["tasks.effects", "tasks.sweeps"])
app.conf.update(
    celery_settings(
        _settings.broker.url.get_secret_value(),
        prefix=_settings.broker.prefix,
        concurrency=_settings.worker.concurrency,
        time_limit_s=_settings.worker.task_time_limit.total_seconds(),
        max_tasks_per_child=_settings.worker.max_tasks_per_child,
    ),
    beat_schedule=beat_schedule(),
)


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:  # noqa: ANN401  Celery's signal arguments
    configure_logging(_settings.log.level, _settings.log.format)
    # the pool's own logger writes past all of that otherwise, when a child dies
    pool_logger().setLevel(logging.WARNING)
    pool_logger().propagate = True
    # whatever level is set: supervisors wait for the line that says "ready"
    logging.getLogger("celery.apps.worker").setLevel(logging.INFO)


@beat_init.connect
def _tell_beat(**_: Any) -> None:  # noqa: ANN401
    structlog.get_logger().info("beat_ready", entries=len(app.conf.beat_schedule))


@worker_init.connect
def _check_settings(**_: Any) -> None:  # noqa: ANN401
    """Refuse to start on wrong settings or another schema; pool processes would end one after the other of them."""
    try:
        build_context(_settings)
        refuse_other_schema(_settings)
    except (Invalid, Refused) as exc:
        raise SystemExit(exc.message) from None


@worker_process_init.connect
def _start_child(**_: Any) -> None:  # noqa: ANN401
    process().start_timers()


@celeryd_after_setup.connect
def _start_without_children(instance: Any, **_: Any) -> None:  # noqa: ANN401
    """Pools without child processes (solo, threads) work in this process; a broker that is down does not matter."""
    if not instance.pool_cls.__module__.endswith("prefork"):
        process().start_timers()


@worker_shutting_down.connect
def _begin_nothing_new(**_: Any) -> None:  # noqa: ANN401
    stopping.ask()
    stopping.kill_stragglers_after(SHUTDOWN_S)


@worker_process_shutdown.connect
@worker_shutdown.connect
def _stop_process(**_: Any) -> None:  # noqa: ANN401
    stop_process()
