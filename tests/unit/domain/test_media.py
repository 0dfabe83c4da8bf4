"""Rules of materials: facts in, every reason out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.media import ORDER, MediaFacts, MediaKind, MediaRules, Reason, check
from orchestrator.domain.media_words import amount, any_of, clock

RULES = MediaRules(
    name="MetaStudio",
    max_bytes=10**9,
    containers=("mp4",),
    sizes=((1920, 1080), (1080, 1920)),
    min_duration_s=180,
    max_duration_s=600,
)
GOOD = MediaFacts(
    MediaKind.VIDEO,
    size_bytes=1000,
    container="mp4",
    coded=(1920, 1080),
    display=(1920, 1080),
    sar="1:1",
    rotation=0,
    duration_s=200.0,
    video_codec="h264",
    alpha=False,
    video_streams=1,
    audio_streams=1,
)
A_PICTURE = MediaFacts(MediaKind.IMAGE, size_bytes=10, container="png", coded=(640, 480), display=(640, 480))


def codes(facts, rules=RULES):
    return [reason.code for reason in check(facts, rules).reasons]


def test_a_good_video_is_accepted_without_warnings():
    verdict = check(GOOD, RULES)
    assert verdict.accepted
    assert verdict.reasons == verdict.warnings == ()


def test_every_reason_is_told_at_once_in_the_order_of_the_table():
    facts = replace(GOOD, container="mov", display=(640, 360), duration_s=10.0, size_bytes=2 * 10**9, alpha=True)
    found = codes(facts, replace(RULES, alpha=False))
    assert found == [
        "file_too_large",
        "container_not_allowed",
        "resolution_not_allowed",
        "duration_too_short",
        "alpha_unexpected",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (179.999, ["duration_too_short"]),
        (179.9996, []),
        (180.0, []),
        (600.0, []),
        (600.0004, []),
        (600.001, ["duration_too_long"]),
    ],
)
def test_bounds_are_inclusive_and_compared_at_a_millisecond(seconds, expected):
    assert codes(replace(GOOD, duration_s=seconds)) == expected


def test_a_tolerance_widens_both_bounds():
    rules = replace(RULES, tolerance_s=0.5)
    assert codes(replace(GOOD, duration_s=179.5), rules) == []
    assert codes(replace(GOOD, duration_s=600.5), rules) == []
    assert codes(replace(GOOD, duration_s=179.4), rules) == ["duration_too_short"]


def test_a_message_names_what_was_measured_and_what_is_allowed():
    [reason] = check(replace(GOOD, duration_s=172.48), RULES).reasons
    assert reason.message == "The video lasts 2:52.480; allowed 3:00\N{EN DASH}10:00."
    assert (reason.measured, reason.allowed, reason.source) == (172.48, [180, 600], "profile MetaStudio")


def test_a_header_that_lies_is_a_reason_only_where_it_would_have_passed():
    short = replace(GOOD, duration_s=20.0, header_duration_s=500.0)
    assert codes(short) == ["duration_too_short", "duration_mismatch"]
    assert codes(replace(short, header_duration_s=30.0)) == ["duration_too_short"]

    fine = check(replace(GOOD, header_duration_s=2000.0), RULES)
    assert fine.accepted
    assert [warning.code for warning in fine.warnings] == ["duration_header_mismatch"]


@pytest.mark.parametrize(
    ("alpha", "wanted", "expected"),
    [
        (True, True, []),
        (False, False, []),
        (False, True, ["alpha_missing"]),
        (True, False, ["alpha_unexpected"]),
        (True, None, []),
        (False, None, []),
    ],
)
def test_alpha_is_judged_only_when_the_job_says_something(alpha, wanted, expected):
    assert codes(replace(GOOD, alpha=alpha), replace(RULES, alpha=wanted)) == expected


def test_missing_sound_is_a_warning_or_a_reason():
    silent = replace(GOOD, audio_streams=0)
    assert [warning.code for warning in check(silent, RULES).warnings] == ["no_audio_stream"]
    assert codes(silent, replace(RULES, sound_required=True)) == ["no_audio_stream"]


def test_what_the_probe_found_comes_with_what_the_rules_find():
    problem = Reason("decode_failed", "display", 0, None, "file", "The picture at 0:00 cannot be decoded.")
    assert codes(replace(GOOD, duration_s=20.0, problems=(problem,))) == ["decode_failed", "duration_too_short"]


@pytest.mark.parametrize(
    ("missing", "code"),
    [("display", "decode_failed"), ("duration_s", "duration_unknown"), ("container", "container_unrecognized")],
)
def test_a_video_whose_facts_are_missing_is_not_accepted(missing, code):
    assert codes(replace(GOOD, **{missing: None})) == [code]


def test_an_empty_file_says_so():
    assert codes(MediaFacts(MediaKind.VIDEO)) == ["empty_file"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (MediaRules(), []),
        (MediaRules(square=True), ["image_not_square"]),
        (MediaRules(min_side=500), ["image_too_small"]),
        (MediaRules(max_side=600), ["image_too_large"]),
        (MediaRules(image_formats=("jpg",)), ["image_format_not_allowed"]),
        (MediaRules(image_formats=("PNG",)), []),
    ],
)
def test_rules_of_pictures(rules, expected):
    assert codes(A_PICTURE, rules) == expected


def test_rules_of_sound_and_letters():
    voice = MediaFacts(MediaKind.AUDIO, size_bytes=10, container="wav", duration_s=4.0)
    assert codes(voice, MediaRules(min_duration_s=5)) == ["audio_too_short"]
    assert codes(voice, MediaRules(max_duration_s=3)) == ["audio_too_long"]
    assert codes(voice, MediaRules(audio_formats=("mp3",))) == ["audio_format_not_allowed"]
    letter = MediaFacts(MediaKind.DOCUMENT, size_bytes=10, container="pdf")
    assert codes(letter, MediaRules()) == []
    assert codes(letter, MediaRules(document_formats=("jpg",))) == ["document_format_not_allowed"]


def test_a_verdict_is_json():
    out = json.loads(check(replace(GOOD, duration_s=20.0, audio_streams=0), RULES).to_json())
    assert out["verdict"] == "reject"
    assert out["warnings"] == ["no_audio_stream"]
    assert set(out["reasons"][0]) == {"code", "field", "measured", "allowed", "source", "message"}
    assert out["facts"]["coded"] == [1920, 1080]


def test_content_type_is_by_content():
    assert GOOD.content_type == "video/mp4"
    assert replace(GOOD, container="avi").content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("seconds", "text"), [(252.48, "4:12.480"), (180, "3:00"), (3720.0, "1:02:00"), (0.0004, "0:00")]
)
def test_lengths_are_said_as_on_a_clock(seconds, text):
    assert clock(seconds) == text


def test_amounts_and_choices_are_said_as_people_do():
    assert [amount(999), amount(1500), amount(2 * 10**9), amount(5 * 10**12)] == [
        "999 bytes",
        "1.5 kB",
        "2.0 GB",
        "5000.0 GB",
    ]
    assert any_of(["MP4", "MOV", "WebM"]) == "MP4, MOV or WebM"
    assert any_of(["MP4"]) == "MP4"


@given(
    st.builds(
        MediaFacts,
        st.sampled_from(MediaKind),
        st.integers(0, 2**40),
        container=st.sampled_from([None, "mp4", "mov", "avi", "png", "pdf", "wav"]),
        display=st.none() | st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
        duration_s=st.none() | st.floats(0, 10**6),
        header_duration_s=st.none() | st.floats(0, 10**6),
        alpha=st.none() | st.booleans(),
        sar=st.sampled_from([None, "1:1", "4:3"]),
        audio_streams=st.none() | st.integers(0, 3),
    )
)
def test_any_facts_get_a_verdict_with_known_codes(facts):
    verdict = check(facts, replace(RULES, alpha=True, square=True, min_side=10))
    assert verdict.accepted is (not verdict.reasons)
    found = [reason.code for reason in verdict.reasons]
    assert set(found) <= set(ORDER)
    assert found == sorted(found, key=ORDER.index)
    json.loads(verdict.to_json())
