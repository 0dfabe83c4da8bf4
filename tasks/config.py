"""Celery's settings for workers and beat. A message here is a wake-up: losing, repeating or delaying one is harmless.

So messages are acknowledged before the work (with late acknowledgement Redis both loses and doubles them when a worker
is killed), nothing is prefetched, nothing is retried by Celery, and there is no result backend.
"""

from __future__ import annotations

from typing import Any, Final

from orchestrator.adapters.celery_options import broker_options, is_rabbitmq

SOFT_LIMIT_SHARE: Final = 0.8  # of the hard time limit: a task may still say what it was doing
SHUTDOWN_S: Final = 20.0  # above engine.BUDGET, so that a drain ends by itself
MAX_CHILD_KIB: Final = 400_000


def celery_settings(
    broker_url: str, *, prefix: str, concurrency: int, time_limit_s: float, max_tasks_per_child: int
) -> dict[str, Any]:
    """Everything `Celery.conf` is given. Redis and RabbitMQ differ in a few settings only.

    Args:
        broker_url: redis://, rediss://, redis+socket:// or amqp(s)://; empty: no broker, timers do it all.
        prefix: of our keys in a Redis that others use too.
        concurrency: pool processes of one worker.
        time_limit_s: a task that takes longer is killed with its pool process.
    """
    settings = {
        **broker_options(broker_url, prefix),
        "result_backend": None,
        "task_acks_late": False,
        "task_time_limit": time_limit_s,
        "task_soft_time_limit": time_limit_s * SOFT_LIMIT_SHARE,
        "worker_concurrency": concurrency,
        "worker_consumer": "tasks.consumer:SteadyConsumer",
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": max_tasks_per_child,
        "worker_max_memory_per_child": MAX_CHILD_KIB,
        "worker_soft_shutdown_timeout": SHUTDOWN_S,  # of SIGQUIT; at SIGTERM see tasks.app
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 30,
        "beat_max_loop_interval": 1,
        # Whether a sweep is due says the database. So beat needs no file of its own, which two beats would fight about.
        "beat_scheduler": "celery.beat:Scheduler",
        "timezone": "UTC",
    }
    # only Redis knows the switch; elsewhere a multiplier of 1 with early acknowledgement does
    on_redis = bool(broker_url) and not is_rabbitmq(broker_url)
    return settings | {"worker_disable_prefetch": True} if on_redis else settings
