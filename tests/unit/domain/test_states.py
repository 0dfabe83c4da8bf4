from __future__ import annotations

from datetime import timedelta

import pytest

from orchestrator.domain.actors import Actor
from orchestrator.domain.log_types import LOG_TYPES, LogType
from orchestrator.domain.states import STATES, TERMINAL, JobState, Phase
from tests.unit.domain import vendor_words


def test_the_vendor_words_are_recorded_whole():
    assert len(set(vendor_words.STATES)) == len(vendor_words.STATES) == 61
    words = [word for operator in vendor_words.LOG_TYPES.values() for word in operator]
    assert len(set(words)) == len(words) == 101


def test_every_state_of_metastudio_is_here_and_no_other():
    mended = {vendor_words.MISSPELT_STATES.get(word, word) for word in vendor_words.STATES}
    assert mended == {state.name for state in JobState}
    assert set(vendor_words.MISSPELT_STATES) <= set(vendor_words.STATES)


@pytest.mark.parametrize("operator", Actor)
def test_every_log_type_of_metastudio_is_here_with_its_operator_and_no_other(operator: Actor):
    mended = {vendor_words.MISSPELT_LOG_TYPES.get(word, word) for word in vendor_words.LOG_TYPES[operator]}
    assert mended == {log_type.name for log_type, info in LOG_TYPES.items() if info.operator is operator}


def test_values_are_the_names_in_lower_case():
    assert all(word.value == word.name.lower() for word in (*JobState, *LogType))


def test_every_state_and_log_type_has_its_row_with_a_meaning():
    assert set(STATES) == set(JobState)
    assert set(LOG_TYPES) == set(LogType)
    assert all(info.meaning for info in (*STATES.values(), *LOG_TYPES.values()))


def test_a_state_has_an_owner_and_a_deadline_or_neither():
    for state, info in STATES.items():
        assert (info.owner is None) is (info.deadline is None) is (state in TERMINAL), state
        assert info.deadline is None or info.deadline > timedelta(0), state


def test_only_success_ends_a_job():
    assert {JobState.JOB_SUCCESS, JobState.JOB_FINISH} == TERMINAL
    assert {state for state, info in STATES.items() if info.phase is Phase.SUCCEEDED} == TERMINAL


@pytest.mark.parametrize("state", [s for s in JobState if s.endswith(("_failed", "_reject")) or "_stop_" in s])
def test_what_failed_or_was_stopped_waits_for_a_person(state: JobState):
    assert STATES[state].phase is Phase.FAILED
    assert STATES[state].owner in {Actor.USER, Actor.ADMIN}
