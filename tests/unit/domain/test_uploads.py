from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.errors import Invalid, UploadTooLarge
from orchestrator.domain.uploads import (
    GIB,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIB,
    MIN_PART_BYTES,
    PREFERRED_PART_BYTES,
    PartPlan,
    check_complete,
    missing,
    most_parts,
    part_size_bytes,
    plan,
)

totals = st.integers(1, MAX_PARTS * MAX_PART_BYTES)


@given(totals, st.integers(0, 10 * GIB))
def test_a_file_always_fits_in_parts_of_the_size_given(total, preferred):
    size = part_size_bytes(total, preferred)
    assert MIN_PART_BYTES <= size <= MAX_PART_BYTES
    assert -(-total // size) <= MAX_PARTS


def test_the_preferred_size_is_used_while_the_file_fits():
    assert part_size_bytes(MAX_PARTS * PREFERRED_PART_BYTES) == PREFERRED_PART_BYTES
    assert part_size_bytes(MAX_PARTS * PREFERRED_PART_BYTES + 1) == PREFERRED_PART_BYTES + MIB


@pytest.mark.parametrize("total", [0, -1])
def test_an_empty_file_has_no_parts(total):
    with pytest.raises(Invalid, match="at least 1"):
        plan(total)


def test_more_than_the_parts_can_carry_is_too_large():
    assert len(plan(MAX_PARTS * MAX_PART_BYTES).numbers) == MAX_PARTS
    with pytest.raises(UploadTooLarge, match="1000 parts"):
        plan(MAX_PARTS * MAX_PART_BYTES + 1)


@given(totals)
def test_a_plan_by_size_covers_the_file_exactly(total):
    found = plan(total)
    assert found.sizes is not None
    assert list(found.sizes) == list(found.numbers)
    assert sum(found.sizes.values()) == total
    assert all(size >= MIN_PART_BYTES for size in list(found.sizes.values())[:-1])
    assert found.sizes[found.count] > 0


@given(totals, st.integers(1, MAX_PARTS))
def test_a_plan_with_a_count_has_that_many_parts_or_says_what_would_do(total, count):
    try:
        found = plan(total, count)
    except UploadTooLarge:
        assert total > count * MAX_PART_BYTES
        return
    except Invalid:
        assert count > most_parts(total)
        return
    assert found.count == count <= most_parts(total)
    assert found.sizes is not None
    assert sum(found.sizes.values()) == total
    assert 0 < found.sizes[count] <= found.sizes[1]


def test_the_refusal_of_a_count_names_the_largest_possible():
    with pytest.raises(Invalid, match=r"use at most 4 part\(s\)") as refused:
        plan(20 * MIB, 10)
    assert refused.value.details["part_count"] == 10
    assert plan(20 * MIB, 4).count == 4


def test_too_few_parts_for_a_large_file_is_too_large():
    with pytest.raises(UploadTooLarge, match="use at least 3 parts"):
        plan(11 * GIB, 2)


@pytest.mark.parametrize("count", [0, -1, MAX_PARTS + 1])
def test_a_count_outside_the_limits_is_refused(count):
    for total in (None, 100 * MIB):
        with pytest.raises(Invalid, match="only 1 to 1000"):
            plan(total, count)


def test_without_a_size_nothing_is_agreed_but_the_count():
    assert plan(None, 7) == PartPlan(7, None)
    assert plan(None) == PartPlan(1, None)


def test_what_is_missing_are_absent_parts_and_parts_of_another_size():
    agreed = plan(20 * MIB, 4)
    assert missing(agreed, {}) == [1, 2, 3, 4]
    assert missing(agreed, {1: 5 * MIB, 3: 5 * MIB - 1, 4: 5 * MIB}) == [2, 3]
    assert missing(agreed, dict(agreed.sizes or {})) == []


def test_without_agreed_sizes_a_small_part_in_the_middle_is_missing():
    assert missing(PartPlan(3, None), {1: 5 * MIB, 2: 100, 3: 1}) == [2]


@given(totals)
def test_the_agreed_parts_are_complete(total):
    agreed = plan(total)
    assert check_complete(agreed, agreed.sizes or {}) == ()


@pytest.mark.parametrize(
    ("agreed", "arrived", "problem"),
    [
        (PartPlan(2, None), {1: 5 * MIB}, "part 2 is missing"),
        (PartPlan(1, {1: 5}), {1: 6}, "part 1 has 6 bytes, 5 were agreed"),
        (PartPlan(2, None), {1: 5, 2: 5}, "part 1 has 5 bytes, every part but the last must have at least 5242880"),
        (PartPlan(1, None), {1: 5, 3: 5, 2: 1}, "part(s) 2, 3 arrived, only 1 to 1 were agreed"),
        (PartPlan(1, None), {1: 101}, "101 bytes arrived, at most 100 are allowed"),
        (PartPlan(1, None), {1: 0}, "the file is empty"),
    ],
)
def test_every_way_of_being_incomplete_is_told(agreed, arrived, problem):
    assert check_complete(agreed, arrived, max_bytes=100 if 1 in arrived and arrived[1] < MIB else None) == (problem,)


def test_all_problems_are_told_at_once_and_many_strangers_in_short():
    problems = check_complete(PartPlan(2, None), dict.fromkeys(range(3, 20), 1), max_bytes=10)
    assert len(problems) == 4
    assert problems[2] == "part(s) 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 7 more arrived, only 1 to 2 were agreed"
