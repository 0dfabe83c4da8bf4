"""The Celery application: `celery -A tasks.app worker` and `celery -A tasks.app beat`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown, worker_ready

from orchestrator.logs import configure_logging
from orchestrator.settings import load
from tasks.config import celery_settings
from tasks.schedule import beat_schedule

# SIGTERM to a worker means: end what is under way within the soft limit, then stop. Celery reads this at import time of
# its worker.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

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


@worker_process_init.connect
def _start_child(**_: Any) -> None:  # noqa: ANN401
    """Nothing is opened before the fork: the app, its connections and its timer begin here."""
    from tasks.process import process

    process().start_timer()


@worker_ready.connect
def _start_without_children(sender: Any, **_: Any) -> None:  # noqa: ANN401
    """Pools without child processes (solo, threads) work in this process."""
    from tasks.process import process

    if not sender.pool.__class__.__module__.endswith("prefork"):
        process().start_timer()


@worker_process_shutdown.connect
def _stop_child(**_: Any) -> None:  # noqa: ANN401
    from tasks.process import process

    process().stop()
