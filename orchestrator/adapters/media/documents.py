"""Looks at a letter: a PDF without anything that acts, or a picture of one. Nothing is ever rendered."""

from __future__ import annotations

import re
import zlib
from typing import Final

from orchestrator.adapters.media.findings import MIB, Report, Unusable, finding
from orchestrator.adapters.media.images import probe_image
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, guess, sniff

MAX_PDF_BYTES: Final = 48 * MIB
MAX_INFLATED_BYTES: Final = 48 * MIB
_TAIL_BYTES: Final = 4096
_NAME_END: Final = rb"(?=[\s()<>\[\]{}/%]|$)"


def _escapable(name: str) -> bytes:
    """A pattern for a name whose letters may be written as escapes: /J#53 is /JS."""
    return b"".join(b"(?:%c|#(?i:%X))" % (letter, letter) for letter in name.encode())


_ACTING: Final = ("JavaScript", "JS", "OpenAction", "Launch", "EmbeddedFiles", "EmbeddedFile")
_ACTIVE: Final = re.compile(b"/(?:" + b"|".join(b"(%s)" % _escapable(name) for name in _ACTING) + b")" + _NAME_END)
_ENCRYPTED: Final = re.compile(rb"/Encrypt" + _NAME_END)
_OBJECTS: Final = re.compile(rb"/ObjStm\b")
_STREAM: Final = re.compile(rb"stream\r?\n")
_DICTIONARY_BYTES: Final = 2000  # between the name and its stream
_FIRST_BYTES: Final = 4096  # of a stream, looked at before more of it is: what is read behind its end is copied
_TEXT: Final = frozenset(b"\t\n\f\r") | frozenset(range(32, 127))
_AROUND: Final = 6


def probe_document(reader: Reader, report: Report) -> None:
    """Format of a letter. Raises Unusable."""
    head = reader.read_at(0, HEAD_BYTES)
    found = sniff(head)
    if found != "pdf":
        try:
            probe_image(reader, report)
        except Unusable as exc:
            if exc.reason.code != "image_unrecognized":
                raise
            what = guess(head) if found is None else found.upper()
            message = f"This is neither a PDF nor a picture (it begins like {what})."
            raise Unusable(finding("document_unrecognized", "container", message, measured=what)) from exc
        return
    report.facts["container"] = "pdf"
    if reader.size_bytes > MAX_PDF_BYTES:
        message = f"The document has {reader.size_bytes} bytes; up to {MAX_PDF_BYTES} can be checked."
        raise Unusable(
            finding("document_corrupt", "size_bytes", message, measured=reader.size_bytes, allowed=MAX_PDF_BYTES)
        )
    data = reader.read_all()
    if b"%%EOF" not in data[-_TAIL_BYTES:] or b"startxref" not in data:
        raise Unusable(finding("document_corrupt", "container", "The PDF is incomplete. Upload it again."))
    if _ENCRYPTED.search(data):
        words = "The PDF is protected by a password; upload it without."
        raise Unusable(finding("document_corrupt", "container", words, measured="/Encrypt"))
    for part in (data, *_object_streams(data)):
        if (name := _active(part)) is not None:
            message = f"The PDF contains active content (/{name}); export it as a plain document."
            report.problem(finding("document_active_content", "container", message, measured=f"/{name}"))
            return


def _active(data: bytes) -> str | None:
    """The first name of something that acts."""
    for found in _ACTIVE.finditer(data):
        name = _ACTING[(found.lastindex or 1) - 1]
        around = data[max(0, found.start() - _AROUND) : found.end() + _AROUND]
        if len(name) > 2 or _TEXT.issuperset(around):  # two letters turn up in packed data, too
            return name
    return None


def _object_streams(data: bytes) -> list[bytes]:
    """Compressed objects, inflated: names hide there as well. Linear in the data, whatever it is made of."""
    out: list[bytes] = []
    left = MAX_INFLATED_BYTES
    done, stream = 0, _STREAM.search(data)
    for found in _OBJECTS.finditer(data):
        if stream is not None and stream.start() < found.end():
            stream = _STREAM.search(data, found.end())
        if stream is None:
            break
        if stream.start() > found.end() + _DICTIONARY_BYTES or stream.end() <= done:
            continue
        done = stream.end()
        raw = _inflated(data, done, left)
        left -= len(raw)
        if left <= 0:
            message = f"The document unpacks to more than {MAX_INFLATED_BYTES} bytes."
            raise Unusable(finding("document_corrupt", "container", message, allowed=MAX_INFLATED_BYTES))
        out.append(raw)
    return out


def _inflated(data: bytes, at: int, most: int) -> bytes:
    """What the stream at `at` unpacks to, up to `most` bytes or to where it is damaged."""
    inflating, out, size = zlib.decompressobj(), bytearray(), _FIRST_BYTES
    try:
        while at < len(data) and len(out) < most and not inflating.eof:
            out += inflating.decompress(inflating.unconsumed_tail + data[at : at + size], max_length=most - len(out))
            at, size = at + size, size * 2
    except zlib.error:
        pass
    return bytes(out)
