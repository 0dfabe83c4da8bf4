"""Whatever is done to a file, judging it gives a verdict: never an exception, never a hang."""

from __future__ import annotations

from functools import cache

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.domain.media import ORDER, MediaKind, check
from tests.media_odd import webm
from tests.media_samples import ASSET, RULES, Bytes, generator, inspect, sample

KINDS = {
    "landscape.mp4": MediaKind.VIDEO,
    "fragmented.mp4": MediaKind.VIDEO,
    "recorder.webm": MediaKind.VIDEO,
    "transparent.mov": MediaKind.VIDEO,
    "sized.webm": MediaKind.VIDEO,
    "square.jpg": MediaKind.IMAGE,
    "not_square.png": MediaKind.IMAGE,
    "voice.wav": MediaKind.AUDIO,
}
# Where damage tells: the boxes and elements whose numbers are believed at first sight.
TENDER = (
    b"moov", b"stsd", b"stts", b"stsz", b"stsc", b"stco", b"stss", b"elst", b"hdlr", b"avcC", b"trun", b"tfhd", b"tfdt",
    b"mvex", b"dref", b"\x16\x54\xae\x6b", b"\x1f\x43\xb6\x75", b"\x15\x49\xa9\x66", b"IHDR", b"IDAT", b"fmt ", b"data",
)  # fmt: skip
VALUES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0")


HEADS = (b"", b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3\x80", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4")


@cache
def whole(name):
    return webm(unknown=False, duration=320000.0) if name == "sized.webm" else sample(name)


@st.composite
def damaged(draw):
    """A sample with a few bytes changed, dropped, doubled or cut off, mostly where it hurts."""
    name = draw(st.sampled_from(sorted(KINDS)))
    data = bytearray(whole(name))
    places = [at for word in TENDER if (at := data.find(word)) >= 0] or [0]
    for _ in range(draw(st.integers(1, 6))):
        base = draw(st.sampled_from([0, *places]))
        at = min(base + draw(st.integers(0, 300)), len(data) - 1)
        match draw(st.integers(0, 4)):
            case 0:
                data[at] = draw(st.integers(0, 255))
            case 1:
                data[at : at + 4] = draw(st.sampled_from(VALUES))
            case 2:
                del data[at : at + draw(st.integers(1, 40))]
            case 3:
                data[at:at] = draw(st.binary(min_size=1, max_size=20))
            case _:
                del data[max(1, len(data) * draw(st.integers(1, 99)) // 100) :]
    return name, bytes(data)


def judged(facts, kind):
    verdict = check(facts, RULES["ims_opaque"] if kind is MediaKind.VIDEO else ASSET)
    assert {reason.code for reason in verdict.reasons} <= set(ORDER)
    return verdict


@settings(max_examples=150)
@given(damaged())
def test_a_damaged_file_gets_a_verdict(made):
    name, data = made
    judged(inspect(data, KINDS[name]), KINDS[name])


@settings(max_examples=8)  # the readers are the same; this is about the way there and back
@given(damaged())
def test_a_damaged_file_gets_a_verdict_from_the_confined_child(made):
    name, data = made
    verdict = judged(SandboxedProber().facts(Bytes(data), KINDS[name]), KINDS[name])
    assert "probe_limit_exceeded" not in {reason.code for reason in verdict.reasons}


@settings(max_examples=100)
@example(b"", MediaKind.VIDEO)
@example(b"\0\0\0\0ftyp", MediaKind.VIDEO)
@example(b"\x1a\x45\xdf\xa3", MediaKind.VIDEO)
@example(b"\0\0\0\x08moov", MediaKind.VIDEO)
@example(b"RIFF\0\0\0\0WAVE", MediaKind.AUDIO)
@example(b"%PDF-", MediaKind.DOCUMENT)
@given(
    st.builds(bytes.__add__, st.sampled_from(HEADS), st.binary(max_size=200)),
    st.sampled_from(MediaKind),
)
def test_garbage_is_never_accepted(data, kind):
    assert not judged(inspect(data, kind), kind).accepted


def test_every_cut_of_a_small_file_gets_a_verdict():
    g = generator()
    small = g.fast(g.mux("mp4", [g.vtrack(g.h264(n=5), 5)]))
    for end in range(0, len(small), 97):
        assert not judged(inspect(small[:end]), MediaKind.VIDEO).accepted
