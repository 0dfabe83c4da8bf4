"""A claim is kept for as long as its work lasts, whatever happens to the renewal of one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event

import pytest

from orchestrator.app.leases import Keeper
from orchestrator.domain.errors import DatabaseUnavailable
from orchestrator.ports.store import Tx
from tests.fakes.app import World

LIMIT_S = 10
PASSES = 3
LEASE = timedelta(milliseconds=30)  # renewed three times as often


@pytest.fixture
def keeper(world: World) -> Keeper:
    return Keeper(replace(world.app.context, timing=replace(world.timing, lease=LEASE)))


def breaking(error: Exception, times: int = 1) -> tuple[Callable[[Tx, datetime], None], Event]:
    """A renewal that fails at first, and the sign that it was tried again after that."""
    again, left = Event(), [error] * times

    def renew(_tx: Tx, _until: datetime) -> None:
        if left:
            raise left.pop()
        again.set()

    return renew, again


@pytest.mark.parametrize(
    ("error", "said"), [(DatabaseUnavailable("away"), []), (ValueError("a bug"), ["lease_not_renewed"])]
)
def test_a_renewal_that_fails_is_tried_again_and_takes_no_other_along(
    keeper: Keeper, error: Exception, said: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    renew, again = breaking(error)
    other, renewed = breaking(error, times=0)
    with caplog.at_level(logging.ERROR), keeper.kept(renew), keeper.kept(other):
        assert renewed.wait(LIMIT_S)
        assert again.wait(LIMIT_S)
    assert [record.getMessage() for record in caplog.records] == said


def test_a_claim_is_kept_until_a_lease_from_now_and_no_longer_than_its_block(keeper: Keeper, world: World) -> None:
    told: list[datetime] = []
    renewed = Event()

    def renew(_tx: Tx, until: datetime) -> None:
        told.append(until)
        renewed.set()

    with keeper.kept(renew):
        assert renewed.wait(LIMIT_S)
    assert set(told) == {world.clock() + LEASE}
    times, passes = len(told), 0

    def count(_tx: Tx, _until: datetime) -> None:
        nonlocal passes
        passes += 1
        if passes == PASSES:
            enough.set()

    enough = Event()
    with keeper.kept(count):
        assert enough.wait(LIMIT_S)
    assert len(told) <= times + 1  # the one that was under way
