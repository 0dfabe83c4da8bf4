"""Chance from a seed that is told, and that `UNDERSTUDY_FAULT_SEED` sets."""

from __future__ import annotations

import os
import random

import pytest


@pytest.fixture
def seed() -> int:
    """Another one each time, unless the environment names it. Printed, so a failure can be seen again."""
    chosen = int(os.environ.get("UNDERSTUDY_FAULT_SEED") or random.SystemRandom().randrange(1_000_000))
    print(f"\nUNDERSTUDY_FAULT_SEED={chosen}")  # noqa: T201  pytest shows it with a failure
    return chosen
