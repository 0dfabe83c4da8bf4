"""Boundary, odd and hostile videos get the right reasons. Built here, so judged in this process: it is faster."""

from __future__ import annotations

import pytest

from tests.media_odd import coded, corpus, vp9, webm
from tests.media_samples import METASTUDIO, codes, inspect

CORPUS = corpus()


@pytest.mark.parametrize("odd", CORPUS, ids=[odd.name.replace(" ", "-") for odd in CORPUS])
def test_an_odd_video_gets_its_reasons(odd):
    assert tuple(codes(odd.build(), odd.rules)) == odd.codes


WARNINGS = {
    "empty edit first": {"start_offset"},
    "edit cuts to 170 s": {"edit_list"},
    "hevc 10 bit hdr": {"hdr", "high_bit_depth"},
    "zip behind": {"trailing_data"},
    "zip behind webm": {"trailing_data"},
    "one late block": {"variable_frame_rate"},
    "turned by 90": {"rotated"},
    "crop asked for": {"cropped"},
    "vp9 alpha data without flag": {"alpha_data_without_flag"},
}


@pytest.mark.parametrize("name", WARNINGS)
def test_an_oddity_is_warned_of(name):
    [odd] = [odd for odd in CORPUS if odd.name == name]
    assert {note.code for note in inspect(odd.build()).notes} >= WARNINGS[name]


def test_an_interlaced_picture_is_taken_and_warned_of():
    data = coded("libx264", fmt="mp4", opts={"x264-params": "tff=1"})
    assert "interlaced" in {note.code for note in inspect(data).notes}
    assert codes(data, METASTUDIO) == []


ALPHAS = {
    "vp9": (lambda alpha: webm(clip=vp9(pix="yuva420p", fill=(b"\x10", b"\x80", b"\x80", alpha))), b"\xff", b"\x50"),
    "qtrle": (lambda alpha: coded("qtrle", "argb", fill=(alpha + b" 0@",)), b"\xff", b"\x50"),
    "png": (lambda alpha: coded("png", "rgba", fill=(b" 0@" + alpha,)), b"\xff", b"\x50"),
    "prores": (
        lambda alpha: coded("prores_ks", "yuva444p10le", fill=(b"@\0", b"\0\2", b"\0\2", alpha)),
        b"\xff\x03",
        b"\xff\x01",
    ),
}


@pytest.mark.parametrize("codec", ALPHAS)
def test_alpha_that_hides_nothing_is_warned_of(codec):
    build, opaque, half = ALPHAS[codec]
    for value, warned in ((opaque, True), (half, False)):
        facts = inspect(build(value))
        assert facts.alpha is True
        assert ("alpha_all_opaque" in {note.code for note in facts.notes}) is warned
