"""What a profile allows of one material, and the rows that say so. All rows run; nothing stops at the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.domain.media_facts import MediaFacts, MediaKind, Reason, Verdict
from orchestrator.domain.media_words import amount, any_of, clock, named, size

# A header and the samples may differ by this much before anybody is told.
HEADER_SLACK_S: Final = 1.0
HEADER_SLACK_SHARE: Final = 0.01


@dataclass(frozen=True, slots=True)
class MediaRules:
    """What one profile allows for one material. Empty tuples and None: not judged.

    Attributes:
        name: the profile's name as users know it.
        containers: of mp4, mov, webm; decided by content.
        sizes: allowed (width, height) as shown.
        min_duration_s, max_duration_s: inclusive, compared at 1 ms; for videos and sound.
        tolerance_s: widens both bounds.
        alpha: True must have an alpha channel, False must not, None is not judged.
        image_formats: of jpeg, png, webp ("jpg" is taken too).
        min_side, max_side: bounds of a picture's shorter and longer side in pixels.
        document_formats: of pdf, jpeg, png.
        audio_formats: of wav, mp3, m4a, ogg, flac, and zip: sound files packed together, whose length is not judged.
    """

    name: str = ""
    max_bytes: int | None = None
    containers: tuple[str, ...] = ("mp4", "mov", "webm")
    sizes: tuple[tuple[int, int], ...] = ()
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    tolerance_s: float = 0.0
    alpha: bool | None = None
    sound_required: bool = False
    image_formats: tuple[str, ...] = ("jpeg", "png", "webp")
    square: bool = False
    min_side: int | None = None
    max_side: int | None = None
    document_formats: tuple[str, ...] = ("pdf", "jpeg", "png")
    audio_formats: tuple[str, ...] = ("wav", "mp3", "m4a", "ogg", "flac")

    @property
    def label(self) -> str:
        """Who takes the file, for messages."""
        return self.name or "this profile"

    def formats(self, kind: MediaKind) -> tuple[str, ...]:
        """Allowed containers or formats of a kind, in our own spelling."""
        listed = {
            MediaKind.VIDEO: self.containers,
            MediaKind.IMAGE: self.image_formats,
            MediaKind.DOCUMENT: self.document_formats,
            MediaKind.AUDIO: self.audio_formats,
        }[kind]
        return tuple(dict.fromkeys({"jpg": "jpeg"}.get(each.lower(), each.lower()) for each in listed))


# The order in which reasons are told; the first one present is the headline.
ORDER: Final = (
    "empty_file", "file_too_large",
    "container_unrecognized", "container_not_allowed", "container_corrupt", "container_truncated",
    "container_limits", "probe_limit_exceeded", "external_reference", "encrypted",
    "no_video_stream", "multiple_video_streams", "codec_not_allowed", "decode_failed",
    "resolution_not_allowed", "resolution_changes", "pixel_aspect_not_square", "rotation_not_supported",
    "duration_too_short", "duration_too_long", "duration_mismatch", "duration_unknown", "timestamp_gap",
    "alpha_missing", "alpha_unexpected",
    "image_unrecognized", "image_format_not_allowed", "image_corrupt", "image_too_large", "image_too_small",
    "image_not_square",
    "document_unrecognized", "document_format_not_allowed", "document_corrupt", "document_active_content",
    "no_audio_stream", "audio_unrecognized", "audio_format_not_allowed", "audio_too_short", "audio_too_long",
)  # fmt: skip

_NOT_ALLOWED: Final = {
    MediaKind.VIDEO: "container_not_allowed",
    MediaKind.IMAGE: "image_format_not_allowed",
    MediaKind.DOCUMENT: "document_format_not_allowed",
    MediaKind.AUDIO: "audio_format_not_allowed",
}

Row = Callable[[MediaFacts, MediaRules], Reason | None]


def _by_profile(rules: MediaRules, code: str, field: str, *values: object, message: str) -> Reason:
    measured, allowed = values
    return Reason(code, field, measured, allowed, f"profile {rules.name}".strip(), message)


def _empty(facts: MediaFacts, _rules: MediaRules) -> Reason | None:
    if facts.size_bytes:
        return None
    return Reason("empty_file", "size_bytes", 0, None, "file", "The file is empty.")


def _too_large(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if rules.max_bytes is None or facts.size_bytes <= rules.max_bytes:
        return None
    message = f"The file is {amount(facts.size_bytes)}; the limit is {amount(rules.max_bytes)}."
    return _by_profile(rules, "file_too_large", "size_bytes", facts.size_bytes, rules.max_bytes, message=message)


def _format(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    allowed = rules.formats(facts.kind)
    if facts.container is None or not allowed or facts.container in allowed:
        return None
    message = (
        f"The file is {named(facts.container)}; {rules.label} takes {any_of(map(named, allowed))}. "
        "The ending of its name does not count."
    )
    return _by_profile(rules, _NOT_ALLOWED[facts.kind], "container", facts.container, list(allowed), message=message)


def _resolution(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if not rules.sizes or facts.display is None or facts.display in rules.sizes:
        return None
    allowed = ", ".join(size(each) for each in rules.sizes)
    message = f"The picture is {size(facts.display)}; allowed: {allowed}."
    measured = list(facts.display)
    return _by_profile(
        rules, "resolution_not_allowed", "display", measured, [list(s) for s in rules.sizes], message=message
    )


def _pixels(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if facts.sar in {None, "1:1"} or facts.display is None:
        return None
    message = f"Pixels are {facts.sar}, shown {size(facts.display)}; export with square pixels."
    return _by_profile(rules, "pixel_aspect_not_square", "sar", facts.sar, "1:1", message=message)


def _wrong_side(seconds: float, rules: MediaRules) -> str | None:
    seconds = round(seconds, 3)
    if rules.min_duration_s is not None and seconds < round(rules.min_duration_s - rules.tolerance_s, 3):
        return "too_short"
    if rules.max_duration_s is not None and seconds > round(rules.max_duration_s + rules.tolerance_s, 3):
        return "too_long"
    return None


def _duration(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if facts.duration_s is None or (side := _wrong_side(facts.duration_s, rules)) is None:
        return None
    low, high = rules.min_duration_s, rules.max_duration_s
    if low is not None and high is not None:
        allowed = f"{clock(low)}\N{EN DASH}{clock(high)}"
    elif low is not None:
        allowed = f"at least {clock(low)}"
    else:
        allowed = f"at most {clock(high or 0)}"
    what, prefix = ("video", "duration") if facts.kind is MediaKind.VIDEO else ("recording", "audio")
    claimed = facts.header_duration_s
    claim = f" (The header says {clock(claimed)}.)" if claimed is not None and _header_differs(facts) else ""
    message = f"The {what} lasts {clock(facts.duration_s)}; allowed {allowed}.{claim}"
    return _by_profile(rules, f"{prefix}_{side}", "duration_s", facts.duration_s, [low, high], message=message)


def _header_differs(facts: MediaFacts) -> bool:
    if facts.duration_s is None or facts.header_duration_s is None:
        return False
    slack = max(HEADER_SLACK_S, HEADER_SLACK_SHARE * facts.duration_s)
    return abs(facts.header_duration_s - facts.duration_s) > slack


def _header_would_pass(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    """The measured length rules; that the header would have passed is told as well."""
    if facts.duration_s is None or facts.header_duration_s is None or not _header_differs(facts):
        return None
    if _wrong_side(facts.duration_s, rules) is None or _wrong_side(facts.header_duration_s, rules) is not None:
        return None
    found, claimed = clock(facts.duration_s), clock(facts.header_duration_s)
    message = f"The header says {claimed}, the pictures last {found}."
    return Reason("duration_mismatch", "duration_s", facts.duration_s, facts.header_duration_s, "file", message)


def _alpha(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if rules.alpha is None or facts.alpha is None or facts.alpha is rules.alpha:
        return None
    codec = (facts.video_codec or "its codec").upper()
    if rules.alpha:
        code, message = "alpha_missing", f"The job says Transparent, the video ({codec}) has no alpha channel."
    else:
        code, message = "alpha_unexpected", f"The job says opaque, the video ({codec}) has an alpha channel."
    return _by_profile(rules, code, "alpha", facts.alpha, rules.alpha, message=message)


def _too_small(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if rules.min_side is None or facts.display is None or min(facts.display) >= rules.min_side:
        return None
    message = f"The picture is {size(facts.display)}; its shorter side must have at least {rules.min_side} pixels."
    return _by_profile(rules, "image_too_small", "display", list(facts.display), rules.min_side, message=message)


def _too_big(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if rules.max_side is None or facts.display is None or max(facts.display) <= rules.max_side:
        return None
    message = f"The picture is {size(facts.display)}; its longer side may have {rules.max_side} pixels."
    return _by_profile(rules, "image_too_large", "display", list(facts.display), rules.max_side, message=message)


def _square(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if not rules.square or facts.display is None or facts.display[0] == facts.display[1]:
        return None
    message = f"The picture is {size(facts.display)}; {rules.label} takes square pictures."
    return _by_profile(rules, "image_not_square", "display", list(facts.display), "square", message=message)


def _sound(facts: MediaFacts, rules: MediaRules) -> Reason | None:
    if not rules.sound_required or facts.audio_streams != 0:
        return None
    message = f"The video has no sound track; {rules.label} needs one."
    return _by_profile(rules, "no_audio_stream", "audio_streams", 0, 1, message=message)


_EVERY: Final[tuple[Row, ...]] = (_empty, _too_large, _format)
ROWS: Final[dict[MediaKind, tuple[Row, ...]]] = {
    MediaKind.VIDEO: (*_EVERY, _resolution, _pixels, _duration, _header_would_pass, _alpha, _sound),
    MediaKind.IMAGE: (*_EVERY, _too_small, _too_big, _square),
    MediaKind.DOCUMENT: _EVERY,
    MediaKind.AUDIO: (*_EVERY, _duration),
}


def _unmeasured(facts: MediaFacts) -> Reason | None:
    """A file nobody found fault with, but whose decisive facts are missing, is not accepted."""
    if facts.kind is MediaKind.VIDEO and facts.display is None:
        return Reason("decode_failed", "display", None, None, "file", "No picture of the video could be decoded.")
    if facts.kind in {MediaKind.VIDEO, MediaKind.AUDIO} and facts.duration_s is None and facts.container != "zip":
        return Reason("duration_unknown", "duration_s", None, None, "file", "The length could not be measured.")
    if facts.kind is MediaKind.IMAGE and facts.display is None:
        return Reason("image_unrecognized", "display", None, None, "file", "The picture could not be read.")
    if facts.container is None:
        code = f"{'container' if facts.kind is MediaKind.VIDEO else facts.kind.value}_unrecognized"
        return Reason(code, "container", None, None, "file", "The file is of no known format.")
    return None


def _warnings(facts: MediaFacts, rules: MediaRules, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    out = list(facts.notes)
    if facts.kind is MediaKind.VIDEO and facts.audio_streams == 0 and not rules.sound_required:
        out.append(Reason("no_audio_stream", "audio_streams", 0, None, "file", "The video has no sound track."))
    if _header_differs(facts):
        message = f"The header says {facts.header_duration_s} s, the samples last {facts.duration_s} s."
        values = (facts.header_duration_s, facts.duration_s)
        out.append(Reason("duration_header_mismatch", "duration_s", *values, "file", message))
    told = {each.code for each in reasons}
    return tuple({each.code: each for each in reversed(out) if each.code not in told}.values())[::-1]


def check(facts: MediaFacts, rules: MediaRules) -> Verdict:
    """Every reason to refuse the file under these rules, in the order of `ORDER`."""
    found = [*facts.problems, *(reason for row in ROWS[facts.kind] if (reason := row(facts, rules)) is not None)]
    if not found and (reason := _unmeasured(facts)) is not None:
        found.append(reason)
    unique = list({each.code: each for each in reversed(found)}.values())[::-1]
    place = {code: index for index, code in enumerate(ORDER)}
    reasons = tuple(sorted(unique, key=lambda each: place.get(each.code, len(ORDER))))
    return Verdict(not reasons, reasons, _warnings(facts, rules, reasons), facts)
