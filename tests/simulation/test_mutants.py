"""The simulation finds what it is for: every break of the product in mutants.py, within a few hundred schedules."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.people import everybody
from tests.simulation.world import run

AT_MOST = 600


@pytest.mark.parametrize("name", MUTANTS)
def test_a_product_that_is_broken_on_purpose_is_found_out(name: str) -> None:
    with MUTANTS[name]():
        for seed in range(AT_MOST):
            try:
                run(seed, everybody)
            except AssertionError:
                return
    pytest.fail(f"{AT_MOST} schedules, and nobody noticed that {name}")
