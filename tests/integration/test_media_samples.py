"""Every sample upload gets the verdict and the reason that are its ground truth, through the confined child."""

from __future__ import annotations

from functools import cache

import pytest

from orchestrator.adapters.media.check import judge
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.domain.media import MediaKind, check
from tests.media_samples import RULES, Bytes, folder, sample, truth

BY_NAME = {case["name"]: case for case in truth()}
CASES = [(name, profile) for name, case in BY_NAME.items() for profile in case["expect"]]
WHOLE = [name for name, case in BY_NAME.items() if case["facts"] and name != "cut_off.mp4"]


@cache
def measured(name):
    """Facts of a sample; a profile then only judges them, so each file is looked at once."""
    return SandboxedProber().facts(Bytes(sample(name)), MediaKind(BY_NAME[name]["kind"]))


@pytest.mark.parametrize(("name", "profile"), CASES)
def test_a_sample_gets_its_verdict_and_reason(name, profile):
    expected = BY_NAME[name]["expect"][profile]
    verdict = check(measured(name), RULES[profile])
    codes = [reason.code for reason in verdict.reasons]

    assert verdict.accepted is (expected["verdict"] == "accept"), codes
    if expected["reasons"]:
        assert set(codes) & {*expected["reasons"], *expected["also"]}
        assert codes[0] in {*expected["reasons"], *expected["also"]}
    assert all(reason.message for reason in verdict.reasons)
    assert verdict.facts.size_bytes == BY_NAME[name]["bytes"]


@pytest.mark.parametrize("name", WHOLE)
def test_the_facts_of_a_sample_are_what_it_is(name):
    wanted = {fact: value for fact, value in BY_NAME[name]["facts"].items() if value is not None}
    found = measured(name).as_dict()
    assert {fact: found.get(fact) for fact in wanted} == wanted


@pytest.mark.parametrize("name", ["landscape.mp4", "renamed.mp4", "square.jpg", "voice.wav"])
def test_a_line_of_the_check_says_file_profile_verdict_and_reasons(name):
    kind = BY_NAME[name]["kind"]
    profile = "metastudio" if kind == "video" else "asset"
    line = judge(folder() / name, RULES[profile])

    assert list(line) == ["file", "profile", "kind", "verdict", "reasons", "warnings", "facts"]
    assert line["kind"] == kind
    assert line["verdict"] == BY_NAME[name]["expect"][profile]["verdict"]
    assert ("extension_mismatch" in line["warnings"]) == (name == "renamed.mp4")
