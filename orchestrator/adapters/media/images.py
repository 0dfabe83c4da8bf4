"""Looks at a picture. Only three formats of Pillow are ever switched on. Runs in the confined child."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Final

from PIL import Image, ImageFile

from orchestrator.adapters.media.findings import MIB, Report, Unusable, finding
from orchestrator.adapters.media.ranges import InputFile, Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, PICTURE_BRANDS, guess, sniff
from orchestrator.domain.media_words import size

FORMATS: Final = ("JPEG", "PNG", "WEBP")
STRANGERS: Final = frozenset({"gif", "tiff", "bmp", "psd", "postscript", "heif", "avif"})
MAX_PIXELS: Final = 64_000_000
MAX_DECODED_BYTES: Final = 96 * MIB  # above, a PNG is checked without holding it, a JPEG at a smaller scale
_ORIENTATION: Final = 0x0112
_TURNED: Final = frozenset({5, 6, 7, 8})
_CHUNK_BYTES: Final = MIB
_IMAGE_ERRORS: Final = (
    OSError, SyntaxError, ValueError, IndexError, KeyError, OverflowError, TypeError, EOFError, struct.error,
    zlib.error, Image.DecompressionBombError, Image.DecompressionBombWarning, AttributeError, ZeroDivisionError,
)  # fmt: skip


def warm_up() -> None:
    """Have Pillow load all that reading a picture takes: once confined, the process can import nothing."""
    Image.preinit()
    for name in FORMATS:
        with io.BytesIO() as sample:
            Image.new("RGB", (1, 1)).save(sample, name)
            sample.seek(0)
            with Image.open(sample, formats=FORMATS) as image:
                image.getexif()
                image.load()


def probe_image(reader: Reader, report: Report) -> None:
    """Format and size of a picture that decodes to its end. Raises Unusable."""
    head = reader.read_at(0, HEAD_BYTES)
    found = sniff(head)
    if found == "isobmff" and head[8:12] in PICTURE_BRANDS:
        found = "avif" if head[8:11] == b"avi" else "heif"
    if found in STRANGERS:
        report.facts["container"] = found
        return
    if found not in {"jpeg", "png", "webp"}:
        what = guess(head) if found is None else found.upper()
        message = f"This is not a picture (it begins like {what})."
        raise Unusable(finding("image_unrecognized", "container", message, measured=what))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    try:
        with Image.open(InputFile(reader), formats=FORMATS) as image:  # type: ignore[arg-type]  # enough of a file
            _judge(reader, image, report)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        message = f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels."
        raise Unusable(finding("image_too_large", "display", message, allowed=MAX_PIXELS)) from exc
    except _IMAGE_ERRORS as exc:
        raise _corrupt(found) from exc


def _corrupt(what: str | None) -> Unusable:
    message = f"The picture ({(what or 'unknown').upper()}) is damaged or incomplete. Upload it again."
    return Unusable(finding("image_corrupt", "display", message))


def _judge(reader: Reader, image: ImageFile.ImageFile, report: Report) -> None:
    report.facts["container"] = (image.format or "").lower()
    width, height = image.size
    if width * height > MAX_PIXELS:
        message = f"The picture is {size((width, height))}; at most {MAX_PIXELS // 1_000_000} million pixels are taken."
        raise Unusable(finding("image_too_large", "display", message, measured=[width, height], allowed=MAX_PIXELS))
    report.facts["coded"] = (width, height)
    if getattr(image, "n_frames", 1) != 1:
        message = "The picture is animated; one picture is taken."
        report.problem(finding("image_format_not_allowed", "container", message, measured="animated"))
    turned = image.getexif().get(_ORIENTATION) in _TURNED
    report.facts["display"] = (height, width) if turned else (width, height)
    if turned:
        report.note("rotated", "display", "The picture carries a turn in its EXIF data.")
    report.facts["alpha"] = image.has_transparency_data
    _decode(reader, image)


def _decode(reader: Reader, image: ImageFile.ImageFile) -> None:
    """Prove that the picture is all there, within the child's memory."""
    width, height = image.size
    if width * height * len(image.getbands()) > MAX_DECODED_BYTES:
        if image.format == "PNG":
            _inflate_png(reader, width, height)
            return
        if image.format == "JPEG":
            image.draft("L", (width // 8, height // 8))
    image.load()


def _inflate_png(reader: Reader, width: int, height: int) -> None:
    """Check every chunk of a large PNG and that its data inflate to at least one byte a line."""
    inflater, at, lines = zlib.decompressobj(), 8, 0
    while True:
        head = reader.read_at(at, 8)
        if len(head) < 8:
            raise OSError("the picture ends early")
        length, kind = struct.unpack(">I4s", head)
        if at + 12 + length > reader.size_bytes:
            raise OSError("the picture ends early")
        if kind == b"IEND":
            break
        if kind == b"IDAT":
            for start in range(0, length, _CHUNK_BYTES):
                data = reader.read_at(at + 8 + start, min(_CHUNK_BYTES, length - start))
                while data and not inflater.eof:
                    lines += len(inflater.decompress(data, _CHUNK_BYTES))
                    data = inflater.unconsumed_tail
        at += 12 + length
    if lines < height * (1 + width // 8):
        raise OSError("the picture ends early")
