"""Celery's settings for workers and beat. A message here is a wake-up: losing, repeating or delaying one is harmless.

So messages are acknowledged before the work (with late acknowledgement Redis both loses and doubles them when a worker
is killed), nothing is prefetched, nothing is retried by Celery, and there is no result backend.
"""

from __future__ import annotations

from typing import Any, Final

from kombu import Queue

from orchestrator.adapters.celery_options import QUEUES, broker_options, is_rabbitmq

SOFT_LIMIT_SHARE: Final = 0.8  # of the hard time limit: a task may still say what it was doing
SOFT_SHUTDOWN_S: Final = 20.0  # above engine.BUDGET, so that a drain ends by itself
MAX_CHILD_KIB: Final = 400_000


def celery_settings(
    broker_url: str, *, prefix: str, concurrency: int, time_limit_s: float, max_tasks_per_child: int
) -> dict[str, Any]:
    """Everything `Celery.conf` is given. Redis and RabbitMQ differ in transport options and queue type only.

    Args:
        broker_url: redis://, rediss://, redis+socket:// or amqp(s)://.
        prefix: of our keys in a Redis that others use too.
        concurrency: pool processes of one worker.
        time_limit_s: a task that takes longer is killed with its pool process.
    """
    rabbitmq = is_rabbitmq(broker_url)
    arguments = {"x-queue-type": "quorum"} if rabbitmq else None
    settings = {
        **broker_options(broker_url, prefix),
        "broker_connection_timeout": 5,
        "result_backend": None,
        "task_acks_late": False,
        "task_time_limit": time_limit_s,
        "task_soft_time_limit": time_limit_s * SOFT_LIMIT_SHARE,
        "task_queues": [Queue(name, queue_arguments=arguments) for name in QUEUES],
        "task_default_queue": QUEUES[0],
        "worker_concurrency": concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": max_tasks_per_child,
        "worker_max_memory_per_child": MAX_CHILD_KIB,
        "worker_soft_shutdown_timeout": SOFT_SHUTDOWN_S,
        "worker_send_task_events": False,
        "worker_hijack_root_logger": False,
        "worker_proc_alive_timeout": 30,
        "beat_max_loop_interval": 1,
        "timezone": "UTC",
    }
    # RabbitMQ refuses the switch; there a multiplier of 1 with early acknowledgement does
    return settings if rabbitmq else settings | {"worker_disable_prefetch": True}
