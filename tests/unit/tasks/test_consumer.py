"""The consumer outlives what Celery 5.7.0 raises when it closes a broken connection."""

from __future__ import annotations

import pytest
from celery.worker.consumer import Consumer

from tasks.consumer import SteadyConsumer


def test_a_connection_that_is_too_broken_to_be_closed_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    def closes_badly(consumer: Consumer, _: Exception) -> None:
        consumer.connection = None
        raise AttributeError("'NoneType' object has no attribute 'hostname'")

    monkeypatch.setattr(Consumer, "on_connection_error_after_connected", closes_badly)
    consumer = SteadyConsumer.__new__(SteadyConsumer)
    consumer.connection = object()
    consumer.on_connection_error_after_connected(ConnectionError("gone"))
    assert consumer.connection is None


def test_an_error_with_the_connection_still_in_hand_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Consumer, __: Exception) -> None:
        raise AttributeError("something else")

    monkeypatch.setattr(Consumer, "on_connection_error_after_connected", breaks)
    consumer = SteadyConsumer.__new__(SteadyConsumer)
    consumer.connection = object()
    with pytest.raises(AttributeError, match="something else"):
        consumer.on_connection_error_after_connected(ConnectionError("gone"))
