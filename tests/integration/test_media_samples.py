"""Every sample upload gets the verdict and the reason that are its ground truth, through the confined child."""

from __future__ import annotations

import pytest

from orchestrator.adapters.media.check import judge
from orchestrator.domain.media import MediaKind
from tests.media_samples import RULES, folder, truth

CASES = [(case, profile) for case in truth() for profile in case["expect"]]


@pytest.mark.parametrize(("case", "profile"), CASES, ids=[f"{case['name']}-{profile}" for case, profile in CASES])
def test_a_sample_gets_its_verdict_and_reason(case, profile):
    expected = case["expect"][profile]
    line = judge(folder() / case["name"], RULES[profile], kind=MediaKind(case["kind"]))
    codes = [reason["code"] for reason in line["reasons"]]

    assert line["verdict"] == expected["verdict"], codes
    if expected["reasons"]:
        assert set(codes) & {*expected["reasons"], *expected["also"]}
    assert all(reason["message"] for reason in line["reasons"])
    assert line["facts"]["size_bytes"] == case["bytes"]


@pytest.mark.parametrize(
    "case",
    [case for case in truth() if case["facts"] and case["name"] != "cut_off.mp4"],
    ids=lambda case: case["name"],
)
def test_the_facts_of_a_sample_are_what_it_is(case):
    line = judge(folder() / case["name"], RULES["ims_opaque"], kind=MediaKind.VIDEO)
    wanted = {name: value for name, value in case["facts"].items() if value is not None}
    assert {name: line["facts"].get(name) for name in wanted} == wanted
