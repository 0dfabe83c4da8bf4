"""What fuzzing once found stays mended; and a short look with hypothesis at every target."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import SLOW_S, changed
from tests.fuzz.targets import SMALL, TARGETS

FOUND = sorted((Path(__file__).parent / "found").glob("*.bin"))


@cache
def seeds(name):
    return TARGETS[name].seeds()


@pytest.mark.parametrize("path", FOUND, ids=lambda path: path.name)
def test_what_was_found_stays_mended(path):
    data = path.read_bytes()
    assert len(data) <= SMALL
    begun_s = time.process_time()
    TARGETS[path.name.split("-")[0]].run(data)
    assert time.process_time() - begun_s < SLOW_S


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=40)
@given(chance=st.randoms(use_true_random=False), rounds=st.integers(1, 3))
def test_a_changed_file_breaks_nothing(name, chance, rounds):
    data = chance.choice(seeds(name))
    for _ in range(rounds):
        data = changed(data, chance.choice(seeds(name)), chance)
    TARGETS[name].run(data)
