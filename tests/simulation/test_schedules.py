"""Some schedules of faults in every run of the suite; `./run simulate` walks as many as the night is long."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.people import everybody
from tests.simulation.walking import digest, walk
from tests.simulation.world import run

SCHEDULES = 3000
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_no_schedule_of_faults_breaks_a_promise() -> None:
    walked = walk(range(SCHEDULES))
    assert walked.broken == [], "look at one: ./run simulate --seed SEED --trace"
    # a storm in which nothing gets done would prove nothing
    assert walked.states["job_success"] > SCHEDULES / 3
    assert walked.states.total() > SCHEDULES * 3 / 4  # owners delete some of their jobs


def test_a_seed_is_one_schedule_in_every_process() -> None:
    here = [digest(run(seed, everybody)) for seed in range(20)]
    program = (
        "from tests.simulation.walking import digest, run, everybody; "
        "print(*(digest(run(seed, everybody)) for seed in range(20)))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    there = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert there.stdout.split() == here
