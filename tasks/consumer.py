"""Celery's consumer, which gets over a broker that goes away at a bad moment, and over wake-ups of a newer version."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from celery.worker.consumer import Consumer

log = structlog.get_logger()


class SteadyConsumer(Consumer):
    """Goes on where Celery 5.7.0 ends the worker.

    When Redis goes away while a message is not yet acknowledged, closing what is left of the connection reads an
    attribute of None, and the worker exits with code 1. By then the connection is forgotten already and will be made
    anew; nothing is left to do that our settings ask for.
    """

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as broken:
            if self.connection is not None:
                raise
            log.warning("broken_connection_not_closed", error=str(broken))

    def on_unknown_task(self, _body: object, message: Any, _exc: Exception) -> None:  # noqa: ANN401  Celery's own
        """Drop it: the newer workers that know its work look for it by their timers, too."""
        log.info("unknown_wake_up", task=str(message.headers.get("task")))
        message.reject_log_error(logging.getLogger(__name__), self.connection_errors)  # type: ignore[attr-defined]  # it has
