"""How every process of ours speaks to the broker: producers and workers have to agree, or messages miss each other."""

from __future__ import annotations

from typing import Final

from orchestrator.domain.commands import Effect

EFFECTS: Final = frozenset(effect.value for effect in Effect)
QUEUES: Final = ("effects", "sweeps")
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
_RABBITMQ: Final = {"confirm_publish": True}


def task_name(name: str) -> str:
    """The Celery task behind a wake-up: `effects.verify`, `sweeps.observe_runs`."""
    return f"effects.{name}" if name in EFFECTS else f"sweeps.{name}"


def is_rabbitmq(url: str) -> bool:
    return url.partition(":")[0] in {"amqp", "amqps", "pyamqp"}


def broker_options(url: str, prefix: str = "understudy:") -> dict[str, object]:
    """Celery settings that producers and workers share.

    Args:
        prefix: begins every key in Redis.
    """
    options: dict[str, object] = {
        "broker_url": url,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_routes": {f"{queue}.*": {"queue": queue} for queue in QUEUES},
        # one try after a broken connection, at once; more is the timers' business
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2},
    }
    if is_rabbitmq(url):
        return options | {"broker_transport_options": dict(_RABBITMQ), "task_default_queue_type": "quorum"}
    return options | {"broker_transport_options": _REDIS | {"global_keyprefix": prefix}}
