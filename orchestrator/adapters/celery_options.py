"""How every process of ours speaks to the broker: producers and workers have to agree, or messages miss each other."""

from __future__ import annotations

from typing import Final

from kombu import Exchange, Queue

from orchestrator.domain.commands import Effect
from orchestrator.domain.media_items import PREPARE_MEDIA

BY_SWEEPS: Final = {Effect.RETRY: "due_retries", Effect.OVERDUE: "overdue"}  # effects that sweeps ask about
DRAINED: Final = (*(effect.value for effect in Effect if effect not in BY_SWEEPS), PREPARE_MEDIA)  # by workers
BEAT: Final = "beat"  # the task that says that a message of beat has come all the way to a worker
QUEUES: Final = ("effects", "sweeps")
EXCHANGE: Final = "understudy"
NO_BROKER: Final = "memory://localhost"  # Celery wants one; nothing ever arrives there
WAKE_EXPIRES_S: Final = 60  # a wake-up that waited longer is worth nothing: the timers have looked meanwhile

# Redis forgets nothing that we need, and no call blocks a process for long. The numbers were found by breaking
# connections: the default visibility timeout of an hour hides lost messages, and without timeouts a hung broker hangs
# its clients.
_REDIS: Final = {
    "visibility_timeout": 120,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 15,
    "socket_timeout": 5,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
_SWEEP_OF: Final = {effect.value: sweep for effect, sweep in BY_SWEEPS.items()}
_RABBITMQ: Final = {"confirm_publish": True}


def task_name(name: str) -> str:
    """The Celery task behind a wake-up for work or a sweep: `effects.verify`, `sweeps.observe_runs`."""
    if name in DRAINED:
        return f"effects.{name}"
    return f"sweeps.{_SWEEP_OF.get(name, name)}"


def is_rabbitmq(url: str) -> bool:
    return url.partition(":")[0] in {"amqp", "amqps", "pyamqp"}


def broker_options(url: str, prefix: str = "understudy:") -> dict[str, object]:
    """Celery settings that producers, beat and workers share.

    Args:
        url: redis://, rediss://, redis+socket:// or amqp(s)://; empty: no broker.
        prefix: begins every key in Redis.
    """
    rabbitmq = is_rabbitmq(url)
    # On Redis a message to a direct exchange goes to its queue's list at once; any other kind would need bindings,
    # which FLUSHALL takes away. On RabbitMQ quorum queues want a topic exchange, which is as good here.
    exchange = Exchange(EXCHANGE, type="topic" if rabbitmq else "direct")
    arguments = {"x-queue-type": "quorum"} if rabbitmq else None
    return {
        "broker_url": url or NO_BROKER,
        "broker_transport_options": dict(_RABBITMQ) if rabbitmq else _REDIS | {"global_keyprefix": prefix},
        "broker_connection_timeout": 5,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_queues": [Queue(name, exchange, name, queue_arguments=arguments) for name in QUEUES],
        "task_routes": {f"{name}.*": {"queue": name} for name in QUEUES},
        "task_default_queue": QUEUES[0],
        "task_default_exchange": exchange.name,
        "task_default_exchange_type": exchange.type,
        "task_default_routing_key": QUEUES[0],
        "task_create_missing_queues": False,
        # one try after a broken connection, at once; more is the timers' business
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    }
