"""Looks at a ZIP of sound files without unpacking it: its list, and the first bytes of each file in it.

Runs in the confined child, whose budgets of reads, time and memory hold for whatever the list claims.
"""

from __future__ import annotations

import codecs
import struct
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import IO, Final, cast

from orchestrator.adapters.media.findings import MIB, Unusable, corrupt, finding, over_limit
from orchestrator.adapters.media.ranges import InputFile, Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, guess, sniff

MAX_FILES: Final = 100
MAX_UNPACKED_BYTES: Final = 2048 * MIB
_PACKED_AS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # the others inflate without bound
_ENCRYPTED: Final = 1
_DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError, OSError,
)  # fmt: skip
codecs.lookup("cp437")  # of names in a ZIP; nothing can be loaded once the child is confined


def probe_sounds(reader: Reader, sounds: frozenset[str]) -> None:
    """That a ZIP holds sound files and nothing else. Their length is not measured.

    Args:
        sounds: what `sniff` calls sound.

    Raises:
        Unusable: damaged, encrypted, too much in it, or something in it is no sound.
    """
    try:
        with zipfile.ZipFile(cast("IO[bytes]", InputFile(reader))) as archive:
            _check(archive, reader.size_bytes, sounds)
    except _DAMAGED as exc:
        raise corrupt(type(exc).__name__) from exc


def _check(archive: zipfile.ZipFile, size_bytes: int, sounds: frozenset[str]) -> None:
    listed = archive.infolist()
    if len(listed) > MAX_FILES:
        raise over_limit("files", len(listed), MAX_FILES)
    if (unpacked := sum(info.file_size for info in listed)) > MAX_UNPACKED_BYTES:
        raise over_limit("unpacked bytes", unpacked, MAX_UNPACKED_BYTES)
    if sum(info.compress_size for info in listed) > size_bytes:
        raise corrupt("files that lie over each other")
    files = [info for info in listed if not info.is_dir() and not _of_the_packer(PurePosixPath(info.filename))]
    if not files:
        raise Unusable(finding("audio_unrecognized", "container", "There is no sound file in the ZIP.", measured=0))
    for number, info in enumerate(files, start=1):
        if info.flag_bits & _ENCRYPTED:
            raise Unusable(finding("encrypted", "container", f"File {number} in the ZIP is protected by a password."))
        if info.compress_type not in _PACKED_AS:
            raise corrupt(f"file {number} is packed in way {info.compress_type}; stored and deflated are taken")
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts:
            raise corrupt(f"file {number} would be unpacked elsewhere")
        with archive.open(info) as entry:
            head = entry.read(HEAD_BYTES)
        if sniff(head) not in sounds:
            what = sniff(head) or guess(head)
            message = f"File {number} in the ZIP is no sound file (it begins like {what})."
            raise Unusable(finding("audio_unrecognized", "container", message, measured=what, allowed=sorted(sounds)))


def _of_the_packer(path: PurePosixPath) -> bool:
    """What macOS and others add by themselves."""
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith(".") or path.name == "Thumbs.db"
