"""Claiming 100 due jobs, and finding that nothing is due, among a thousand jobs and among a million."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.app.context import new_token
from orchestrator.domain.commands import Effect
from tests.bench.crowd import Crowd, crowds, now
from tests.bench.rows import Row, at_most, in_turns, row, taken_s
from tests.bench.stand import plain

DUE = 100
ROUNDS = 31
GOAL = 1.5


def run() -> list[Row]:
    small, large = crowds()
    among_few, among_many = in_turns(ROUNDS, lambda: claim_s(small), lambda: claim_s(large))
    empty_few, empty_many = in_turns(ROUNDS, lambda: empty_s(small), lambda: empty_s(large))
    return [
        row("sweep: claiming 100 due among 1,000", among_few * 1000, "ms"),
        row("sweep: claiming 100 due among 1,000,000", among_many * 1000, "ms"),
        at_most("sweep: among 1,000,000 to among 1,000", among_many / among_few, GOAL),
        row("sweep: nothing due among 1,000", empty_few * 1000, "ms"),
        row("sweep: nothing due among 1,000,000", empty_many * 1000, "ms"),
        at_most("sweep: nothing due, among 1,000,000 to among 1,000", empty_many / empty_few, GOAL),
    ]


def claim_s(crowd: Crowd) -> float:
    """Make 100 jobs due, time the claim of them, put everything back."""
    with plain(crowd.url) as connection:
        connection.execute(
            "UPDATE jobs SET effect = 'verify', due_at = now() WHERE id IN "
            "(SELECT id FROM jobs WHERE state = 'job_success' ORDER BY id DESC LIMIT %s)",
            [DUE],
        )
        taken = taken_s(lambda: _claim(crowd, DUE))
        connection.execute(
            "UPDATE jobs SET effect = NULL, due_at = NULL, lease_token = NULL, lease_until = NULL "
            "WHERE lease_token IS NOT NULL"
        )
    return taken


def empty_s(crowd: Crowd) -> float:
    return taken_s(lambda: _claim(crowd, 0))


def _claim(crowd: Crowd, expected: int) -> None:
    at = now()
    with crowd.store.begin() as tx:
        found = tx.jobs.claim(
            Effect.VERIFY, now=at, until=at + timedelta(seconds=30), token=new_token()[:32], limit=DUE
        )
    assert len(found) == expected, f"claimed {len(found)} jobs, not {expected}"
