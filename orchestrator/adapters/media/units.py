"""What a coded picture says of itself: whether it can be decoded alone. Tables and flags of containers may lie."""

from __future__ import annotations

from typing import Final

from orchestrator.adapters.media import hevc

_H264_PICTURES: Final = range(1, 6)
_H264_IDR: Final = 5
_HEVC_PICTURES: Final = range(32)
_HEVC_RANDOM_ACCESS: Final = range(16, 24)
_AV1_SEQUENCE_HEADER: Final = 1
_AV1_FRAMES: Final = frozenset({3, 6})
_LEB128_BYTES: Final = 8  # AV1 bitstream specification, 4.10.5
_VP9_MARKER: Final = 2
_FORBIDDEN: Final = 0x80


def needs_others(codec: str, extradata: bytes, sample: bytes) -> bool:
    """Whether this is a whole picture that is coded by its difference to others. False also for what is damaged.

    Args:
        codec: the decoder's name.
        sample: as it lies in MP4, MOV or Matroska.
    """
    match codec:
        case "h264":
            kinds = [unit[0] & 0x1F for unit in _fitting(sample, _h264_prefix(extradata))]
            return any(kind in _H264_PICTURES for kind in kinds) and _H264_IDR not in kinds
        case "hevc":
            kinds = [hevc.kind_of(unit) for unit in _fitting(sample, hevc.length_bytes(extradata))]
            pictures = [kind for kind in kinds if kind in _HEVC_PICTURES]
            return bool(pictures) and not any(kind in _HEVC_RANDOM_ACCESS for kind in pictures)
        case "libdav1d":
            kinds = _av1_kinds(sample)
            return not _AV1_FRAMES.isdisjoint(kinds) and _AV1_SEQUENCE_HEADER not in kinds
        case "vp8":
            return bool(sample) and sample[0] & 1 == 1
        case "vp9":
            return _vp9_needs_others(sample)
    return False


def _h264_prefix(extradata: bytes) -> int:
    return (extradata[4] & 3) + 1 if len(extradata) > 4 and extradata[0] == 1 else 4


def _fitting(sample: bytes, prefix: int) -> list[bytes]:
    """The units of a sample that they fill to its last byte, else none."""
    units = hevc.sample_units(sample, prefix)
    fits = sum(prefix + len(unit) for unit in units) == len(sample)
    return units if fits and not any(unit[0] & _FORBIDDEN for unit in units) else []


def _av1_kinds(sample: bytes) -> list[int]:
    """Kinds of the units in a temporal unit, none when they do not fit."""
    out, at = list[int](), 0
    while at < len(sample):
        head = sample[at]
        if head & _FORBIDDEN or not head & 2:  # in files every unit tells its size
            return []
        at += 2 if head & 4 else 1
        size = 0
        for place, byte in enumerate(sample[at : at + _LEB128_BYTES]):
            at += 1
            size |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                break
        else:
            return []
        out.append(head >> 3 & 15)
        at += size
    return out if at == len(sample) else []


def _vp9_needs_others(sample: bytes) -> bool:
    """Source: VP9 bitstream specification, 6.2: marker, two bits of profile, then whether it shows an old picture."""
    if not sample or sample[0] >> 6 != _VP9_MARKER:
        return False
    bits = sample[0]
    profile = (bits >> 5 & 1) | (bits >> 4 & 1) << 1
    at = 3 - (profile == 3)
    return bool(bits >> at & 1 or bits >> (at - 1) & 1)
