"""What was found in a file: the facts, the reasons to refuse it, the verdict. Values only."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class MediaKind(StrEnum):
    """What a material is meant to be; decides which reader looks at it."""

    VIDEO = "video"
    IMAGE = "image"
    DOCUMENT = "document"
    AUDIO = "audio"


CONTENT_TYPES: Final = MappingProxyType(
    {
        "mp4": "video/mp4",
        "mov": "video/quicktime",
        "webm": "video/webm",
        "matroska": "video/x-matroska",
        "jpeg": "image/jpeg",
        "png": "image/png",
        "webp": "image/webp",
        "pdf": "application/pdf",
        "wav": "audio/wav",
        "mp3": "audio/mpeg",
        "m4a": "audio/mp4",
        "ogg": "audio/ogg",
        "flac": "audio/flac",
    }
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that is wrong with a file, or (as a warning) only odd.

    Attributes:
        code: stable public word, see `media_rules.ORDER`.
        field: the fact it is about.
        measured: what was found; a JSON value.
        allowed: what would have passed; a JSON value, None where that cannot be said.
        source: who says so: "profile <name>", or "file" for files that cannot be used by anybody.
        message: one sentence for the person who uploaded the file.
    """

    code: str
    field: str
    measured: object
    allowed: object
    source: str
    message: str

    def as_dict(self) -> dict[str, object]:
        return {
            "code": self.code,
            "field": self.field,
            "measured": self.measured,
            "allowed": self.allowed,
            "source": self.source,
            "message": self.message,
        }


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Everything measured of one file. None means not known or not applicable.

    Attributes:
        container: by content, never by name: mp4, mov, webm, matroska, jpeg, png, webp, pdf, wav, ..., or the name
            of something we never take (avi, ogg, heif, ...).
        coded: (width, height) of the decoded picture before rotation.
        display: (width, height) as shown: after rotation and with square pixels.
        sar: sample aspect ratio, "1:1" for square pixels.
        duration_s: what the samples of the chosen track add up to after edits, rounded to 1 ms.
        header_duration_s: what the header claims, None where it claims nothing.
        fps: mean frame rate.
        alpha: the coded stream carries an alpha plane or layer.
        problems: what is wrong whatever the profile allows.
        notes: oddities worth a warning.
        video_codec_name, audio_codec_name: for people.
    video_tag, audio_tag: the container's four letters for the codec.
    video_time_base, audio_time_base: seconds a tick, as a fraction.
    video_start_s, audio_start_s: of the first sample.
    video_language, audio_language: three letters, `und` where the file does not tell.
    video_b_frames: pictures that are held back to be put in order.
    read_bytes, read_requests: what it cost to find out.
    """

    kind: MediaKind
    size_bytes: int = 0
    sha256: str | None = None
    container: str | None = None
    brand: str | None = None
    coded: tuple[int, int] | None = None
    display: tuple[int, int] | None = None
    sar: str | None = None
    rotation: int | None = None
    duration_s: float | None = None
    header_duration_s: float | None = None
    fps: float | None = None
    frames: int | None = None
    video_codec: str | None = None
    video_profile: str | None = None
    pix_fmt: str | None = None
    bit_depth: int | None = None
    color_transfer: str | None = None
    bit_rate: int | None = None
    video_bit_rate: int | None = None
    alpha: bool | None = None
    video_streams: int | None = None
    video_codec_name: str | None = None
    video_level: int | None = None
    video_tag: str | None = None
    video_time_base: str | None = None
    video_start_s: float | None = None
    video_language: str | None = None
    video_b_frames: int | None = None
    audio_streams: int | None = None
    audio_codec: str | None = None
    audio_codec_name: str | None = None
    audio_profile: str | None = None
    audio_tag: str | None = None
    audio_time_base: str | None = None
    audio_start_s: float | None = None
    audio_language: str | None = None
    audio_bit_rate: int | None = None
    audio_duration_s: float | None = None
    sample_rate_hz: int | None = None
    channels: int | None = None
    channel_layout: str | None = None
    sample_format: str | None = None
    read_bytes: int | None = None
    read_requests: int | None = None
    problems: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()

    @property
    def content_type(self) -> str:
        """Media type by content, `application/octet-stream` for what we cannot name."""
        return CONTENT_TYPES.get(self.container or "", "application/octet-stream")

    def as_dict(self) -> dict[str, object]:
        """JSON-ready; unknown facts and the findings are left out."""
        out: dict[str, object] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value is None or each.name in {"problems", "notes"}:
                continue
            out[each.name] = list(value) if isinstance(value, tuple) else value
        return out


@dataclass(frozen=True, slots=True)
class Verdict:
    """Accepted or not, with every reason at once; the first reason is the headline."""

    accepted: bool
    reasons: tuple[Reason, ...]
    warnings: tuple[Reason, ...]
    facts: MediaFacts

    def as_dict(self) -> dict[str, object]:
        """JSON-ready; warnings as their codes."""
        return {
            "verdict": "accept" if self.accepted else "reject",
            "reasons": [each.as_dict() for each in self.reasons],
            "warnings": [each.code for each in self.warnings],
            "facts": self.facts.as_dict(),
        }

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), ensure_ascii=False)
