"""What a download is called and what it is served as, whoever uploaded it under whatever name."""

from __future__ import annotations

import string
from typing import Final

NAME_LIMIT: Final = 480
"""Characters of a file's name, percent-encoded. A URL encodes each `%` again, and vendors' URLs have up to 2,048."""

_LONGEST: Final = 12  # one character, percent-encoded
_ENDING: Final = 16
_PLAIN: Final = frozenset(f"{string.ascii_letters}{string.digits}-._~".encode())

_SERVED: Final = frozenset({"application/pdf", "application/zip", "application/json", "text/plain"})
_SERVED_GROUPS: Final = ("video/", "audio/", "image/")
_RUNS: Final = frozenset({"image/svg+xml"})  # a picture that may carry scripts
OPAQUE: Final = "application/octet-stream"


def served_type(content_type: str) -> str:
    """The type that a download is served with: the uploader's own where no browser runs it, else opaque bytes."""
    plain = content_type.partition(";")[0].strip().lower()
    harmless = plain in _SERVED or (plain.startswith(_SERVED_GROUPS) and plain not in _RUNS)
    return plain if harmless else OPAQUE


def attachment(filename: str) -> str:
    """Content-Disposition for a download: a plain name for old clients, the exact one for all others.

    A name too long for a URL is cut.

    Source: RFC 6266 section 4.3, RFC 8187.
    """
    if len(filename) > NAME_LIMIT // _LONGEST:
        filename = _shortened(filename)
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\/%;' else "_" for c in filename) or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{_encoded(filename)}"


def _shortened(filename: str) -> str:
    """The name, or as much of its beginning as there is room for, and its ending."""
    stem, dot, ending = filename.rpartition(".")
    if not stem or len(ending) > _ENDING:
        stem, dot, ending = filename, "", ""
    while (excess := len(_encoded(f"{stem}{dot}{ending}")) - NAME_LIMIT) > 0:
        stem = stem[: -max(1, excess // _LONGEST)]
    return f"{stem}{dot}{ending}"


def _encoded(filename: str) -> str:
    return "".join(chr(each) if each in _PLAIN else f"%{each:02X}" for each in filename.encode(errors="replace"))
