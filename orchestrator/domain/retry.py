"""Which failures are tried again, how often and how late. Failure class and attempt in, delay or stop out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType


class FailureClass(StrEnum):
    """Why a run ended badly; the policy decides by it."""

    DATA = "data"  # the material cannot be learned from: the same again would fail the same
    CODE = "code"  # the trainer's own fault
    OUT_OF_MEMORY = "out_of_memory"
    INFRASTRUCTURE = "infrastructure"  # disk, network, store: not the job's fault
    LOST = "lost"  # heartbeat gone and the backend says gone
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"  # somebody asked for it: never retried by itself


# Failures that are not the job's fault have a budget of their own, so that a bad night of the cluster does not
# use up the tries meant for the training.
INFRASTRUCTURE_CLASSES = frozenset({FailureClass.INFRASTRUCTURE, FailureClass.LOST})


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits per class and the delays between tries.

    Attributes:
        limits: how many retries a class may have; 0 means the first failure stands.
        first_delay: wait before the first retry; doubles with each further one.
        longest_delay: no wait is longer.
    """

    limits: Mapping[FailureClass, int] = field(
        default_factory=lambda: MappingProxyType(
            {
                FailureClass.DATA: 0,
                FailureClass.CODE: 1,
                FailureClass.OUT_OF_MEMORY: 1,
                FailureClass.INFRASTRUCTURE: 5,
                FailureClass.LOST: 5,
                FailureClass.TIMEOUT: 1,
                FailureClass.CANCELLED: 0,
            }
        )
    )
    first_delay: timedelta = timedelta(seconds=10)
    longest_delay: timedelta = timedelta(hours=1)

    def delay(self, failure: FailureClass, retries_so_far: int) -> timedelta | None:
        """How long to wait before the next try, None to stop.

        Args:
            retries_so_far: retries already used of this failure's budget, 0 for the first failure.
        """
        if retries_so_far >= self.limits.get(failure, 0):
            return None
        return min(self.first_delay * (1 << min(retries_so_far, 30)), self.longest_delay)
