"""The port `Prober`, with one confined child process per file."""

from __future__ import annotations

import math
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
            facts = _facts(known, outcome.result)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return _stopped(known, replace(outcome, why="an unreadable report"))
        _tell_confinement(str(outcome.result.get("confined")))
        log.debug(
            "media checked",
            kind=kind.value,
            size_bytes=size_bytes,
            read_bytes=outcome.read_bytes,
            requests=outcome.requests,
            seconds=round(outcome.seconds, 3),
            child_peak_mib=outcome.result.get("peak_bytes", 0) // MIB,
        )
        if facts.duration_s:
            facts = replace(facts, bit_rate=round(size_bytes * 8 / facts.duration_s))
        return facts


def _tell_confinement(confined: str) -> None:
    """Say once in a process how far the child was closed in, where it was not wholly."""
    if confined != "seccomp" and confined not in _TOLD:
        _TOLD.add(confined)
        log.warning(
            "media checks run without a system call filter",
            in_force="resource limits and an empty network namespace" if confined == "namespace" else "resource limits",
        )


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
            values[name] = str(value)[:_MAX_TEXT]
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


def _reasons(listed: list[dict[str, Any]]) -> tuple[Reason, ...]:
    return tuple(
        Reason(
            str(each["code"])[:_MAX_TEXT],
            str(each["field"])[:_MAX_TEXT],
            each["measured"],
            each["allowed"],
            "file",
            str(each["message"])[:_MAX_TEXT],
        )
        for each in listed
    )
