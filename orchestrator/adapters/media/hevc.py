"""Does an HEVC stream carry an alpha layer? FFmpeg cannot say; the video parameter set can.

Apple's encoder writes alpha as a second layer, declared in the extension of the VPS. FFmpeg 8.1 refuses that
extension and decodes nothing; `base_layer_only` rewrites the stream so that its base layer decodes.
Source: Rec. ITU-T H.265, 7.3.2.1 and Annex F.7.3.2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VPS: Final = 32
PREFIX_SEI: Final = 39
_ALPHA_SEI: Final = 165
_AUX_MASK: Final = 3
_AUX_ALPHA: Final = 1
_HVCC_HEAD_BYTES: Final = 23
_MAX_UE_BITS: Final = 32


class Unreadable(Exception):
    """The parameter set ends early or uses parts we do not read."""


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._size = len(data) * 8
        self.at = 0

    def u(self, count: int) -> int:
        if self.at + count > self._size:
            raise Unreadable
        first, last = self.at // 8, (self.at + count + 7) // 8
        value = int.from_bytes(self._data[first:last], "big") >> (last * 8 - self.at - count)
        self.at += count
        return value & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.u(1):
            zeros += 1
            if zeros > _MAX_UE_BITS:
                raise Unreadable
        return (1 << zeros) - 1 + (self.u(zeros) if zeros else 0)


@dataclass(frozen=True, slots=True)
class Layers:
    """What the VPS says: number of layers, whether one is alpha (None: cannot be read), where its extension flag is."""

    count: int
    alpha: bool | None
    extension_bit: int | None


def unescape(unit: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes."""
    out, at = bytearray(), 0
    while (found := unit.find(b"\0\0\x03", at)) >= 0:
        out += unit[at : found + 2]
        at = found + 3
    return bytes(out + unit[at:])


def escape(raw: bytes) -> bytes:
    """The reverse of `unescape`."""
    out, zeros = bytearray(), 0
    for byte in raw:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = 0 if byte else zeros + 1
    return bytes(out)


def read_layers(vps: bytes) -> Layers:
    """Layers declared by a VPS unit (with its two header bytes)."""
    bits = _Bits(unescape(vps)[2:])
    count, extension = 1, None
    try:
        bits.u(4 + 2)
        count = bits.u(6) + 1
        sublayers = bits.u(3)
        bits.u(1 + 16)
        _profile(bits, sublayers, present=True)
        for _ in range(0 if bits.u(1) else sublayers, sublayers + 1):
            bits.ue(), bits.ue(), bits.ue()
        highest = bits.u(6)
        for _ in range(bits.ue()):
            bits.u(highest + 1)
        if bits.u(1):
            bits.u(64)
            if bits.u(1):
                bits.ue()
            if bits.ue():  # HRD parameters: nobody writes them here
                return Layers(count, None, None)
        extension = bits.at
        if not bits.u(1):
            return Layers(count, alpha=False, extension_bit=extension)
        bits.at += -bits.at % 8
        return Layers(count, _auxiliary_alpha(bits, count, sublayers), extension)
    except Unreadable:
        return Layers(count, None, extension)


def _profile(bits: _Bits, sublayers: int, *, present: bool) -> None:
    bits.u(96 if present else 8)  # profile and level, or the level alone
    flags = [(bits.u(1), bits.u(1)) for _ in range(sublayers)]
    if sublayers:
        bits.u(2 * (8 - sublayers))
    for has_profile, has_level in flags:
        bits.u(88 * has_profile + 8 * has_level)


def _auxiliary_alpha(bits: _Bits, count: int, sublayers: int) -> bool:
    if count > 1:
        _profile(bits, sublayers, present=False)
    splitting = bits.u(1)
    kinds = [index for index in range(16) if bits.u(1)]
    lengths = [bits.u(3) + 1 for _ in range(len(kinds) - splitting)]
    ids_present = bits.u(1)
    if splitting or _AUX_MASK not in kinds:
        if splitting and _AUX_MASK in kinds:
            raise Unreadable
        return False
    for _ in range(1, count):
        bits.u(6 if ids_present else 0)
        values = dict(zip(kinds, [bits.u(length) for length in lengths], strict=True))
        if values[_AUX_MASK] == _AUX_ALPHA:
            return True
    return False


def configured_units(extradata: bytes) -> list[bytes]:
    """The parameter sets in an hvcC record; of none when it is not one."""
    return [unit for _, _, unit in _arrays(extradata)]


def _arrays(extradata: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(array byte, index in the array, unit)."""
    if len(extradata) < _HVCC_HEAD_BYTES or extradata[0] != 1:
        return
    at = _HVCC_HEAD_BYTES
    for _ in range(extradata[22]):
        if at + 3 > len(extradata):
            return
        kind, units = extradata[at], int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for index in range(units):
            size = int.from_bytes(extradata[at : at + 2], "big")
            unit = extradata[at + 2 : at + 2 + size]
            if len(unit) < size or size < 2:
                return
            yield kind, index, unit
            at += 2 + size


def length_bytes(extradata: bytes) -> int:
    return (extradata[21] & 3) + 1 if len(extradata) >= _HVCC_HEAD_BYTES and extradata[0] == 1 else 4


def sample_units(sample: bytes, prefix: int) -> list[bytes]:
    """The units of a length-prefixed sample, up to the first that does not fit."""
    out, at = [], 0
    while at + prefix + 2 <= len(sample):
        size = int.from_bytes(sample[at : at + prefix], "big")
        unit = sample[at + prefix : at + prefix + size]
        if len(unit) < size or size < 2:
            break
        out.append(unit)
        at += prefix + size
    return out


def kind_of(unit: bytes) -> int:
    return unit[0] >> 1 & 0x3F


def layer_of(unit: bytes) -> int:
    return (unit[0] & 1) << 5 | unit[1] >> 3


def has_alpha(extradata: bytes, sample: bytes) -> bool:
    """By the VPS extension; where that cannot be read, by an alpha SEI together with units of another layer."""
    units = [*configured_units(extradata), *sample_units(sample, length_bytes(extradata))]
    layers = [read_layers(unit) for unit in units if kind_of(unit) == VPS and not layer_of(unit)]
    known = [each.alpha for each in layers if each.alpha is not None and each.count > 1]
    if known:
        return any(known)
    if any(each.alpha is None for each in layers):
        told = any(kind_of(unit) == PREFIX_SEI and _ALPHA_SEI in _sei_types(unit) for unit in units)
        return told and any(layer_of(unit) for unit in units)
    return False


def _sei_types(unit: bytes) -> set[int]:
    raw, at, out = unescape(unit)[2:], 0, set[int]()
    while at + 2 <= len(raw) and raw[at] != 0x80:
        values = [0, 0]
        for index in range(2):
            while at < len(raw) and raw[at] == 0xFF:
                values[index] += 255
                at += 1
            if at < len(raw):
                values[index] += raw[at]
                at += 1
        out.add(values[0])
        at += values[1]
    return out


def layered(extradata: bytes, sample: bytes) -> bool:
    units = [*configured_units(extradata), *sample_units(sample, length_bytes(extradata))]
    vps = [read_layers(unit) for unit in units if kind_of(unit) == VPS]
    return any(layer_of(unit) for unit in units) or any(each.count > 1 for each in vps)


def base_layer_only(extradata: bytes, sample: bytes) -> tuple[bytes, bytes]:
    """(extradata, sample) with the VPS cut at its extension and the units of other layers dropped."""
    prefix = length_bytes(extradata)
    units = [_plain(unit) for unit in sample_units(sample, prefix) if not layer_of(unit)]
    body = b"".join(len(unit).to_bytes(prefix, "big") + unit for unit in units)
    arrays: dict[int, list[bytes]] = {}
    for kind, _, unit in _arrays(extradata):
        if not layer_of(unit):
            arrays.setdefault(kind, []).append(_plain(unit))
    record = bytearray(extradata[: _HVCC_HEAD_BYTES - 1])
    record.append(len(arrays))
    for kind, listed in arrays.items():
        record += bytes([kind]) + len(listed).to_bytes(2, "big")
        for unit in listed:
            record += len(unit).to_bytes(2, "big") + unit
    return bytes(record), body


def _plain(unit: bytes) -> bytes:
    if kind_of(unit) != VPS:
        return unit
    place = read_layers(unit).extension_bit
    if place is None:
        return unit
    raw = unescape(unit)
    bits = int.from_bytes(raw[2:], "big") >> (len(raw[2:]) * 8 - place)  # everything before the flag
    bits = bits << 2 | 1  # flag 0, then the stop bit
    length = place + 2
    bits <<= -length % 8
    return escape(raw[:2] + bits.to_bytes((length + 7) // 8, "big"))
