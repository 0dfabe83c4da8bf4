"""The simulation finds what it is for: every break of the product in mutants.py, within a few hundred schedules."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.people import everybody
from tests.simulation.world import run

AT_MOST = 1000
# Where rare meetings were met at the time of writing: the search begins there, and goes everywhere if they have moved.
BEGIN_AT = {
    "files are sealed without compare-and-set": 93, "an abort is believed without a look": 124,
    "sealing does not ask the job once more": 129, "a file of an asset that was given up comes back": 54,
    "a token fetches a model any number of times": 30,
}  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_product_that_is_broken_on_purpose_is_found_out(name: str) -> None:
    with MUTANTS[name]():
        first = BEGIN_AT.get(name, 0)
        for seed in (*range(first, AT_MOST), *range(first)):
            try:
                run(seed, everybody)
            except AssertionError:
                return
    pytest.fail(f"{AT_MOST} schedules, and nobody noticed that {name}")
