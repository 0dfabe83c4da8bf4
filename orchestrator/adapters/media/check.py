"""One file, one line of answer: what `understudy media check` prints."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sniff import EBML, HEAD_BYTES, ISOBMFF, sniff
from orchestrator.adapters.media.sources import LocalFile
from orchestrator.domain.media import MediaKind, MediaRules, Reason, Verdict
from orchestrator.domain.media_words import named
from orchestrator.ports.prober import ByteSource

ENDINGS: Final = MappingProxyType(
    dict.fromkeys((".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi"), MediaKind.VIDEO)
    | dict.fromkeys((".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".bmp", ".tiff"), MediaKind.IMAGE)
    | dict.fromkeys((".wav", ".mp3", ".m4a", ".ogg", ".oga", ".opus", ".flac", ".aac"), MediaKind.AUDIO)
    | {".pdf": MediaKind.DOCUMENT}
)
_BY_CONTENT: Final = MappingProxyType(
    {ISOBMFF: MediaKind.VIDEO, EBML: MediaKind.VIDEO, "pdf": MediaKind.DOCUMENT}
    | dict.fromkeys(("jpeg", "png", "webp", "gif", "tiff", "bmp"), MediaKind.IMAGE)
    | dict.fromkeys(("wav", "mp3", "ogg", "flac", "adts"), MediaKind.AUDIO)
)
_USUAL: Final = MappingProxyType(
    {
        "mp4": {".mp4", ".m4v"},
        "mov": {".mov", ".qt"},
        "webm": {".webm"},
        "matroska": {".mkv"},
        "jpeg": {".jpg", ".jpeg"},
        "png": {".png"},
        "webp": {".webp"},
        "wav": {".wav"},
        "mp3": {".mp3"},
        "m4a": {".m4a"},
        "ogg": {".ogg", ".oga", ".opus"},
        "flac": {".flac"},
        "pdf": {".pdf"},
    }
)


def guess_kind(name: str, source: ByteSource) -> MediaKind:
    """By the ending of the name, else by content; a video when neither says."""
    if (kind := ENDINGS.get(Path(name).suffix.lower())) is not None:
        return kind
    return _BY_CONTENT.get(sniff(source.read_range(0, HEAD_BYTES)) or "", MediaKind.VIDEO)


def with_ending(verdict: Verdict, name: str) -> Verdict:
    """The verdict, with a warning when the name's ending says something else than the content."""
    ending, container = Path(name).suffix.lower(), verdict.facts.container
    usual = _USUAL.get(container or "")
    if usual is None or ending not in ENDINGS or ending in usual:
        return verdict
    message = f"The name ends in {ending}, the content is {named(container or '')}."
    note = Reason("extension_mismatch", "container", container, sorted(usual), "file", message)
    return replace(verdict, warnings=(*verdict.warnings, note))


def judge(
    file: Path | str | ByteSource,
    rules: MediaRules,
    *,
    kind: MediaKind | None = None,
    name: str | None = None,
    prober: SandboxedProber | None = None,
) -> dict[str, object]:
    """`{"file", "profile", "kind", "verdict", "reasons", "warnings", "facts"}`, JSON-ready.

    Args:
        file: a path, or any source of bytes (then `name` says what to call it).
        kind: None to guess by the name's ending, then by content.

    Raises:
        ObjectMissing, ObjectChanged, StorageUnavailable: nothing could be said of the file.
    """
    if isinstance(file, Path | str):
        name = name or str(file)
        opened: LocalFile | nullcontext[ByteSource] = LocalFile(file)
    else:
        opened = nullcontext(file)
    with opened as source:
        chosen = kind or guess_kind(name or "", source)
        verdict = (prober or SandboxedProber()).judge(source, chosen, rules)
    verdict = with_ending(verdict, name or "")
    return {"file": name or "", "profile": rules.name, "kind": chosen.value, **verdict.as_dict()}
