"""Large files are judged by a small part of their bytes; files made of a million nothings end early."""

from __future__ import annotations

import copy
import struct
import time

import pytest

from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.domain.media import MediaKind, check
from tests.media_odd import FRAGMENTS, cut, mp4, webm
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


def full_header():
    g = generator()
    movie = g.Mp4(mp4())
    movie.moov.kids += [g.Box(b"free", b"")] * 60_000
    return movie.bytes()


BOMBS = {
    "empty boxes in the header": full_header,
    "empty boxes behind": lambda: mp4() + b"\0\0\0\x08free" * 1_000_000,
    "empty blocks": lambda: webm() + b"\xa3\x84\x81\0\0\0" * 2_000_000,
    "empty elements": lambda: webm() + b"\xec\x80" * 5_000_000,
    "empty clusters": lambda: webm() + b"\x1f\x43\xb6\x75\x82\xe7\x80" * 2_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_million_nothings_end_early(name):
    data = BOMBS[name]()
    begin = time.monotonic()
    facts = SandboxedProber().facts(Bytes(data), VIDEO)
    assert [problem.code for problem in facts.problems] == ["container_limits"]
    assert time.monotonic() - begin < 15  # alone on the machine: under two
