"""Alpha in HEVC is told by the video parameter set; streams that FFmpeg refuses for it decode all the same."""

from __future__ import annotations

import pytest

from orchestrator.adapters.media import hevc
from tests.media_samples import TRANSPARENT_RULES, codes, generator

SEI_ALPHA = bytes([39 << 1, 1, 165, 4, 0, 0, 0, 0, 0x80])


class Writer:
    def __init__(self):
        self.bits = ""

    def u(self, value, count):
        self.bits += format(value, f"0{count}b")
        return self

    def ue(self, value):
        text = format(value + 1, "b")
        self.bits += "0" * (len(text) - 1) + text
        return self

    def align(self, bit):
        self.bits += bit * (-len(self.bits) % 8)
        return self

    def done(self):
        self.bits += "1"
        self.align("0")
        return int(self.bits, 2).to_bytes(len(self.bits) // 8, "big")


def vps(*, mask=3, dimension=1, layers=2, extension=True):
    """A VPS with a second layer whose scalability dimension `mask` has the id `dimension`."""
    w = Writer().u(0, 4).u(3, 2).u(layers - 1, 6).u(0, 3).u(1, 1).u(0xFFFF, 16)
    w.u(0, 2).u(0, 1).u(1, 5).u(0x60000000, 32).u(0x9, 4).u(0, 43).u(0, 1).u(93, 8)
    w.u(1, 1).ue(4).ue(0).ue(0).u(layers - 1, 6).ue(0).u(0, 1)
    w.u(int(extension), 1)
    if extension:
        w.align("1")
        if layers > 1:
            w.u(93, 8)
        w.u(0, 1)
        for index in range(16):
            w.u(int(index == mask), 1)
        w.u(1, 3).u(1, 1)
        for _ in range(1, layers):
            w.u(1, 6).u(dimension, 2)
    return bytes([32 << 1, 1]) + hevc.escape(w.done())


def record(*units):
    out = bytes([1]) + bytes(20) + b"\x03" + bytes([len(units)])
    for unit in units:
        out += bytes([hevc.kind_of(unit)]) + b"\0\1" + len(unit).to_bytes(2, "big") + unit
    return out


@pytest.mark.parametrize(
    ("unit", "alpha"),
    [
        (vps(), True),
        (vps(dimension=2), False),
        (vps(mask=1), False),
        (vps(layers=1, extension=False), False),
        (vps(extension=False), False),
    ],
    ids=["alpha", "depth", "multiview", "one-layer", "two-layers-unsaid"],
)
def test_the_parameter_set_tells_alpha_from_other_layers(unit, alpha):
    assert hevc.read_layers(unit).alpha is alpha
    assert hevc.has_alpha(record(unit), b"") is alpha


def test_an_unreadable_extension_needs_the_message_and_the_layer():
    broken = vps()[:-4]
    layer_one = bytes([1 << 1, 1 << 3 | 1]) + b"xx"
    sample = len(layer_one).to_bytes(4, "big") + layer_one
    assert hevc.read_layers(broken).alpha is None
    assert not hevc.has_alpha(record(broken), b"")
    assert not hevc.has_alpha(record(broken, SEI_ALPHA), b"")
    assert not hevc.has_alpha(record(broken), sample)
    assert hevc.has_alpha(record(broken, SEI_ALPHA), sample)


def test_escaping_is_reversible():
    for raw in (b"\0\0\0\1", b"\0\0\3\0\0\0\0\2", b"abc", b"\0\0\0\0\0\0"):
        assert hevc.unescape(hevc.escape(raw)) == raw
        assert b"\0\0\0" not in hevc.escape(raw)


def layered_clip():
    """An ordinary HEVC clip dressed up as Apple's encoder writes alpha: two layers, the VPS extended."""
    g = generator()
    plain = g.clip("libx265", 1920, 1080, n=30)
    units = hevc.configured_units(plain.extradata)
    old = next(unit for unit in units if hevc.kind_of(unit) == hevc.VPS)
    place = hevc.read_layers(old).extension_bit
    raw = hevc.unescape(old)
    w = Writer()
    w.bits = format(int.from_bytes(raw[2:], "big"), f"0{len(raw[2:]) * 8}b")[:place]
    w.bits = w.bits[:6] + "000001" + w.bits[12:]
    w.u(1, 1).align("1").u(93, 8).u(0, 1).u(1 << 12, 16).u(1, 3).u(1, 1).u(1, 6).u(1, 2)
    new = raw[:2] + hevc.escape(w.done())
    extradata = plain.extradata.replace(len(old).to_bytes(2, "big") + old, len(new).to_bytes(2, "big") + new)
    other = bytes([0x27, 9]) + bytes(40)
    other = bytes([19 << 1, 1 << 3 | 1]) + other
    packets = [(data + len(other).to_bytes(4, "big") + other, *rest) for data, *rest in plain.packets]
    return g, plain, extradata, packets


def test_a_layered_stream_decodes_by_its_base_layer_and_has_alpha():
    g, plain, extradata, packets = layered_clip()
    assert hevc.has_alpha(extradata, packets[0][0])
    base_extradata, base = hevc.base_layer_only(extradata, packets[0][0])
    kept = hevc.sample_units(base, 4)
    assert kept
    assert all(not hevc.layer_of(unit) for unit in kept)
    rewritten = next(unit for unit in hevc.configured_units(base_extradata) if hevc.kind_of(unit) == hevc.VPS)
    assert hevc.read_layers(rewritten).alpha is False

    data = g.mux("mov", [g.vtrack(plain, 320)])
    movie = g.Mp4(data)
    entry = movie.video().get(b"mdia", b"minf", b"stbl", b"stsd")
    at = entry.data.find(b"hvcC") - 4
    size = int.from_bytes(entry.data[at : at + 4], "big")
    body = g.box(b"hvcC", extradata).bytes()
    grown = entry.data[:at] + body + entry.data[at + size :]
    first = int.from_bytes(grown[8:12], "big") + len(body) - size
    entry.data = grown[:8] + first.to_bytes(4, "big") + grown[12:]
    assert codes(movie.bytes(), TRANSPARENT_RULES) == []
