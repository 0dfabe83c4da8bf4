"""Large files are judged by a small part of their bytes; files made of a million nothings end early."""

from __future__ import annotations

import copy
import struct

import pytest

from orchestrator.adapters.media import sandbox
from orchestrator.adapters.media.findings import MIB
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sandbox import Limits
from orchestrator.domain.media import MediaKind, check
from tests.media_odd import FRAGMENTS, cut, edited, mp4, webm
from tests.media_samples import METASTUDIO, Bytes, generator

VIDEO = MediaKind.VIDEO
SECONDS = 600


def fat(pad=20_000):
    """An H.264 clip whose pictures carry filler, so that ten minutes make 12 MB."""
    clip = copy.copy(generator().h264(n=50))
    filler = (pad + 1).to_bytes(4, "big") + b"\x0c" + b"\xff" * pad
    clip.packets = [(data + filler, *rest) for data, *rest in clip.packets]
    return clip


def fragmented(flags="", seconds=SECONDS):
    g = generator()
    return g.cut_mfra(g.mux("mp4", [g.vtrack(fat(), seconds), g.atrack(seconds)], movflags=FRAGMENTS + flags))


def recorded(seconds=SECONDS, **options):
    g = generator()
    return g.webm([g.vtrack(fat(), seconds)], **options)


FILES = {
    "fragments": (fragmented, SECONDS),
    "fragments-by-track": (lambda: fragmented("+separate_moof"), SECONDS),
    "fragments-cut": (lambda: cut(fragmented(), 0.9), 539),
    "recording": (recorded, SECONDS),
    "recording-cut": (lambda: cut(recorded(), 0.9), 539),
    "long-clusters": (lambda: recorded(cluster=30), SECONDS),
    "known-sizes": (lambda: recorded(unknown=False), SECONDS),
}


@pytest.mark.parametrize("name", FILES)
def test_the_length_of_a_file_without_index_is_found_at_its_end(name):
    build, expected = FILES[name]
    source = Bytes(build())
    facts = SandboxedProber().facts(source, VIDEO)

    assert (facts.duration_s, facts.display, facts.problems) == (pytest.approx(expected, abs=1), (1920, 1080), ())
    assert facts.read_bytes < source.size_bytes / 2
    assert facts.read_requests < 20


class TwoGigabytes:
    """An MP4 of 2 GB with its header last, made where it is read."""

    def __init__(self, total=2_000_000_000, seconds=600, fps=25):
        g = generator()
        clip, count = g.h264(fps=fps), seconds * fps
        movie = g.Mp4(g.mux("mp4", [g.vtrack(clip, seconds, fps)], tb=12800))
        self.each = total // count
        head = movie.top[0].bytes()
        self.start = len(head) + 16
        self.head = head + struct.pack(">I4sQ", 1, b"mdat", 16 + count * self.each)
        self.samples = []
        for index in range(count):
            data = clip.at(index)[0]
            self.samples.append(data + struct.pack(">I", self.each - len(data) - 4) + b"\x0c")
        offsets = [self.start + index * self.each for index in range(count)]
        stbl = movie.video().get(b"mdia", b"minf", b"stbl")
        stbl.drop(b"stco", b"stsz", b"stsc")
        stbl.kids += [
            g.fullbox(b"stsz", 0, 0, struct.pack(">II", 0, count), struct.pack(">I", self.each) * count),
            g.fullbox(b"stsc", 0, 0, struct.pack(">4I", 1, 1, 1, 1)),
            g.fullbox(b"co64", 0, 0, struct.pack(">I", count), struct.pack(f">{count}Q", *offsets)),
        ]
        self.end = self.start + count * self.each
        self.tail = movie.moov.bytes()
        self.size_bytes = self.end + len(self.tail)
        self.ranges = []

    def read_range(self, start, length):
        self.ranges.append((start, length))
        out, at, stop = [], start, min(start + length, self.size_bytes)
        while at < stop:
            if at < self.start:
                piece = self.head[at : min(stop, self.start)]
            elif at >= self.end:
                piece = self.tail[at - self.end : stop - self.end]
            else:
                index, inside = divmod(at - self.start, self.each)
                piece = self.samples[index].ljust(self.each, b"\xff")[inside : inside + stop - at]
            out.append(piece)
            at += len(piece)
        return b"".join(out)


def test_two_gigabytes_are_judged_by_a_thousandth_of_their_bytes():
    source = TwoGigabytes()
    verdict = check(SandboxedProber().facts(source, VIDEO), METASTUDIO)

    assert verdict.accepted
    assert verdict.facts.duration_s == 600.0
    assert sum(length for _, length in source.ranges) <= source.size_bytes * 0.0015
    assert len(source.ranges) <= 10


MILLION = 1_000_000


def full_header():
    g = generator()
    movie = g.Mp4(mp4())
    movie.moov.kids += [g.Box(b"free", b"")] * 60_000
    return movie.bytes()


def titled():
    g = generator()
    return edited(lambda m: m.moov.kids.append(g.Box(b"udta", g.Box(b"\xa9nam", b"\0\1\0\0x").bytes() * 1_800_000)))


def tables(**bodies):
    """Sample tables of that content in place of the real ones; two counts stand before the sizes, one elsewhere."""
    g = generator()

    def change(movie):
        stbl = movie.video().get(b"mdia", b"minf", b"stbl")
        for name, (width, body) in bodies.items():
            stbl.drop(name.encode())
            counts = (0, len(body) // width) if name == "stsz" else (len(body) // width,)
            stbl.kids.append(g.fullbox(name.encode(), 0, 0, struct.pack(f">{len(counts)}I", *counts), body))

    return edited(change)


def two_million_times():
    return tables(
        stts=(8, struct.pack(">4I", 1, 1280, 1, 1281) * MILLION), stsz=(4, struct.pack(">I", 1) * 2 * MILLION)
    )


def a_million_of_everything():
    one = struct.pack(">I", 100) * MILLION
    pairs = struct.pack(">II", 1, 1280) * MILLION
    return tables(
        stts=(8, pairs),
        ctts=(8, pairs),
        stsz=(4, struct.pack(">I", 1) * MILLION),
        stco=(4, one),
        stsc=(12, struct.pack(">III", 1, 1, 1)),
    )


def endless_run():
    """Fragments whose runs have no columns: 250,000 samples in a hundred bytes."""
    g, box = generator(), lambda kind, body: struct.pack(">I4s", 8 + len(body), kind) + body
    run = g.fullbox(b"trun", 0, 0, struct.pack(">I", 250_000)).bytes()
    head = g.fullbox(b"tfhd", 0, 0x20018, struct.pack(">III", 1, 1, 0)).bytes()
    return g.cut_mfra(mp4(10, n=50, movflags=FRAGMENTS)) + box(b"moof", box(b"traf", head + run)) * 40


def false_fragments():
    return generator().cut_mfra(mp4(500, n=50, movflags=FRAGMENTS)) + b"\0\0\0\x08moof" * 3 * MILLION


LIMITS, BROKEN = ("container_limits",), ("decode_failed",)
BOMBS = {
    "empty boxes in the header": (full_header, LIMITS),
    "empty boxes behind": (lambda: mp4() + b"\0\0\0\x08free" * MILLION, LIMITS),
    "empty blocks": (lambda: webm() + b"\xa3\x84\x81\0\0\0" * 2 * MILLION, LIMITS),
    "empty groups": (lambda: webm() + b"\xa0\x86\xa1\x84\x81\0\0\x80" * 290_000, LIMITS),
    "empty elements": (lambda: webm() + b"\xec\x80" * 5 * MILLION, LIMITS),
    "empty clusters": (lambda: webm() + b"\x1f\x43\xb6\x75\x82\xe7\x80" * 2 * MILLION, LIMITS),
    "false clusters": (lambda: webm() + b"\x1f\x43\xb6\x75" * 10 * MILLION, LIMITS),
    "false fragments": (false_fragments, LIMITS),
    "endless runs": (endless_run, LIMITS),
    "titles": (titled, ()),
    "two million times": (two_million_times, ("container_truncated", *BROKEN)),
    "a million of everything": (a_million_of_everything, BROKEN),
}


@pytest.fixture(scope="module")
def plain_cpu_s():
    """What a plain small file costs on this machine as it is loaded now."""
    outcome = sandbox.run(Bytes(mp4()), "video", Limits())
    assert outcome.result is not None
    return outcome.result["cpu_s"]


@pytest.mark.parametrize("name", BOMBS)
def test_millions_of_nothing_cost_little(name, plain_cpu_s):
    build, codes = BOMBS[name]
    outcome = sandbox.run(Bytes(build()), "video", Limits())
    assert outcome.result is not None
    assert {problem["code"] for problem in outcome.result["problems"]} <= set(codes)
    assert bool(outcome.result["problems"]) is bool(codes)
    assert outcome.result["cpu_s"] < 10 * plain_cpu_s
    assert outcome.result["peak_bytes"] < 256 * MIB
