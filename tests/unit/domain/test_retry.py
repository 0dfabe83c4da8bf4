from __future__ import annotations

from datetime import timedelta
from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.retry import INFRASTRUCTURE_CLASSES, FailureClass, RetryPolicy


@pytest.mark.parametrize(
    ("failure", "retries"),
    [
        (FailureClass.DATA, 0),
        (FailureClass.CODE, 1),
        (FailureClass.OUT_OF_MEMORY, 1),
        (FailureClass.INFRASTRUCTURE, 5),
        (FailureClass.LOST, 5),
        (FailureClass.TIMEOUT, 1),
        (FailureClass.CANCELLED, 0),
    ],
)
def test_a_failure_is_tried_again_as_often_as_its_class_may(failure: FailureClass, retries: int):
    policy = RetryPolicy()
    assert len(list(takewhile(lambda n: policy.delay(failure, n) is not None, count()))) == retries


def test_every_class_has_a_limit():
    assert set(RetryPolicy().limits) == set(FailureClass)


def test_a_class_without_a_limit_is_not_tried_again():
    assert RetryPolicy(limits={}).delay(FailureClass.CODE, 0) is None


def test_delays_double_up_to_the_longest():
    policy = RetryPolicy(
        limits={FailureClass.LOST: 5}, first_delay=timedelta(seconds=10), longest_delay=timedelta(seconds=60)
    )
    seconds = [policy.delay(FailureClass.LOST, n) for n in range(5)]
    assert seconds == [timedelta(seconds=s) for s in (10, 20, 40, 60, 60)]


@given(st.integers(min_value=0, max_value=10**9), st.sampled_from(FailureClass))
def test_a_delay_is_never_shorter_than_the_first_nor_longer_than_the_longest(retries: int, failure: FailureClass):
    policy = RetryPolicy(limits=dict.fromkeys(FailureClass, 10**10))
    delay = policy.delay(failure, retries)
    assert delay is not None
    assert policy.first_delay <= delay <= policy.longest_delay


def test_what_the_machinery_did_is_not_counted_against_the_job():
    assert {FailureClass.INFRASTRUCTURE, FailureClass.LOST} == INFRASTRUCTURE_CLASSES
