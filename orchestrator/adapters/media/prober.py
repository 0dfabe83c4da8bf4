"""The port `Prober`, with one confined child process per file."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any, Final

import structlog

from orchestrator.adapters.media import sandbox
from orchestrator.adapters.media.findings import MIB, finding
from orchestrator.adapters.media.sandbox import Limits, Outcome
from orchestrator.domain.errors import CheckBrokenOff
from orchestrator.domain.media import MediaFacts, MediaKind, MediaRules, Reason, Verdict, check
from orchestrator.ports.prober import ByteSource

log = structlog.get_logger()

_SIZES: Final = frozenset({"coded", "display"})
_FLAGS: Final = frozenset({"alpha"})
_FLOATS: Final = frozenset(
    {"duration_s", "header_duration_s", "fps", "audio_duration_s", "video_start_s", "audio_start_s"}
)
_TEXTS: Final = frozenset(
    {
        "container", "brand", "sar", "video_codec", "video_profile", "pix_fmt", "color_transfer", "audio_codec",
        "audio_profile", "channel_layout", "sample_format",
        *(f"{kind}_{name}" for kind in ("video", "audio") for name in ("codec_name", "tag", "time_base", "language")),
    }
)  # fmt: skip
_COUNTS: Final = frozenset(
    {
        "rotation", "frames", "bit_depth", "video_bit_rate", "video_streams", "audio_streams", "audio_bit_rate",
        "sample_rate_hz", "channels", "video_level", "video_b_frames",
    }
)  # fmt: skip
_MAX_TEXT: Final = 400
_MAX_LISTED: Final = 100  # reasons, and values of one
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TOLD: set[str] = set()


class SandboxedProber:
    """Judges files. Has no state but its limits, so threads may share one."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()

    def judge(self, source: ByteSource, kind: MediaKind, rules: MediaRules) -> Verdict:
        """Facts of the file and every reason to refuse it.

        Raises:
            StorageUnavailable, ObjectMissing, ObjectChanged: the bytes could not be had; nothing is said of the file.
            CheckBrokenOff: twice the child was killed by somebody else, or hardly got the processor.
        """
        return check(self.facts(source, kind), rules)

    def facts(self, source: ByteSource, kind: MediaKind) -> MediaFacts:
        """What is measured of the file, whatever a profile allows. Raises as `judge` does."""
        size_bytes = source.size_bytes
        known = MediaFacts(kind, size_bytes)
        if not size_bytes:
            return known
        outcome = sandbox.run(source, kind.value, self._limits)
        if outcome.result is None and outcome.worth_another:
            log.warning("media check tried again", kind=kind.value, size_bytes=size_bytes, after=outcome.why)
            outcome = sandbox.run(source, kind.value, self._limits)
        if outcome.result is None and not outcome.is_files:
            raise CheckBrokenOff(f"the check was ended from outside after {outcome.why}")
        known = replace(known, read_bytes=outcome.read_bytes, read_requests=outcome.requests)
        if outcome.result is None:
            return _stopped(known, outcome)
        try:
            facts, peak_bytes = _facts(known, outcome.result), _count(outcome.result["peak_bytes"])
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return _stopped(known, replace(outcome, why="an unreadable report"))
        _tell_confinement(outcome.result.get("confined"))
        log.debug(
            "media checked",
            kind=kind.value,
            size_bytes=size_bytes,
            read_bytes=outcome.read_bytes,
            requests=outcome.requests,
            seconds=round(outcome.seconds, 3),
            child_peak_mib=peak_bytes // MIB,
        )
        if facts.duration_s:
            facts = replace(facts, bit_rate=round(size_bytes * 8 / facts.duration_s))
        return facts


def _tell_confinement(confined: object) -> None:
    """Say once in a process how far the child was closed in, where it was not wholly."""
    in_force = "resource limits and an empty network namespace" if confined == "namespace" else "resource limits"
    if confined != "seccomp" and in_force not in _TOLD:
        _TOLD.add(in_force)
        log.warning("media checks run without a system call filter", in_force=in_force)


def _stopped(known: MediaFacts, outcome: Outcome) -> MediaFacts:
    log.warning("media check stopped", kind=known.kind.value, size_bytes=known.size_bytes, after=outcome.why)
    message = f"The check was stopped after {outcome.why}."
    reason = finding("probe_limit_exceeded", "probe", message, measured=outcome.why)
    return replace(known, problems=(reason,))


def _facts(known: MediaFacts, result: dict[str, Any]) -> MediaFacts:
    """The child's report, believed no further than its types: it has met the file, we have not."""
    values: dict[str, Any] = {}
    for name, value in result["facts"].items():
        if value is None:
            continue
        if name in _SIZES:
            width, height = value
            values[name] = (_count(width), _count(height))
        elif name in _FLOATS:
            values[name] = _number(value)
        elif name in _COUNTS:
            values[name] = _count(value)
        elif name in _FLAGS:
            values[name] = value is True
        elif name in _TEXTS:
            values[name] = _text(value)
        else:
            raise ValueError(name)
    return replace(known, problems=_reasons(result["problems"]), notes=_reasons(result["notes"]), **values)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError(value)
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(value)
    return float(value)


def _text(value: object) -> str:
    """A text that every database and every answer can hold: files have NULs where they should have words."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value[:_MAX_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _word(value: object) -> str:
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError(value)
    return value


def _told(value: object, *, deep: bool = False) -> object:
    """What was measured or is allowed: a value, or a list of values."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list) and len(value) <= _MAX_LISTED and not deep:
        return [_told(each, deep=True) for each in value]
    return _number(value) if isinstance(value, float) else _count(value)


def _reasons(listed: object) -> tuple[Reason, ...]:
    if not isinstance(listed, list) or len(listed) > _MAX_LISTED:
        raise ValueError(listed)
    return tuple(
        Reason(
            _word(each["code"]), _text(each["field"]), _told(each["measured"]), _told(each["allowed"]), "file",
            _text(each["message"]),
        )
        for each in listed
    )  # fmt: skip
