"""Whether the broker answers."""

from __future__ import annotations

from typing import Any

from kombu import Connection

from orchestrator.adapters.celery_options import broker_options
from orchestrator.domain.errors import Unavailable


def check_broker(url: str, prefix: str = "understudy:", timeout_s: int = 2) -> None:
    """Connect once. Raises Unavailable, without the address: it may hold a password."""
    options: Any = broker_options(url, prefix)["broker_transport_options"]
    try:
        with Connection(url, transport_options=options, connect_timeout=timeout_s) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=timeout_s)
    except Exception as exc:
        raise Unavailable(f"the broker does not answer: {type(exc).__name__}") from exc
