"""Looks at a picture. Only three formats of Pillow are ever switched on. Runs in the confined child."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import Final

from PIL import Image, ImageFile, MpoImagePlugin

from orchestrator.adapters.media import jpeg, png
from orchestrator.adapters.media.findings import MIB, Report, Unusable, finding, over_limit
from orchestrator.adapters.media.ranges import Reader
from orchestrator.adapters.media.sniff import HEAD_BYTES, PICTURE_BRANDS, guess, sniff
from orchestrator.domain.media_words import amount, size

FORMATS: Final = ("JPEG", "PNG", "WEBP")
_MPO: Final = MpoImagePlugin.MpoImageFile.format  # named here so that it is loaded: a JPEG may turn out to be one
STRANGERS: Final = frozenset({"gif", "tiff", "bmp", "psd", "postscript", "heif", "avif"})
MAX_PIXELS: Final = 64_000_000
MAX_WEBP_PIXELS: Final = 20_000_000  # its decoder holds four pictures of four bytes a pixel
MAX_SCANNED_PIXELS: Final = 12 * MAX_PIXELS  # a progressive picture has about ten scans, each goes over all of it
MAX_FILE_BYTES: Final = 48 * MIB
MAX_DECODED_BYTES: Final = 96 * MIB  # above, a PNG is checked without holding it, a JPEG at a smaller scale
_ORIENTATION: Final = 0x0112
_TURNED: Final = frozenset({5, 6, 7, 8})
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
    if reader.size_bytes > MAX_FILE_BYTES:
        message = f"The picture has {amount(reader.size_bytes)}; up to {amount(MAX_FILE_BYTES)} can be checked."
        about = {"measured": reader.size_bytes, "allowed": MAX_FILE_BYTES}
        raise Unusable(finding("image_too_large", "size_bytes", message, **about))
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    data = reader.read_all()
    try:
        _check_structure(found, data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _judge(data, image, report)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as exc:
        raise _too_many_pixels(None) from exc
    except _IMAGE_ERRORS as exc:
        raise _corrupt(found) from exc


def _check_structure(found: str, data: bytes) -> None:
    """Before a decoder sees it: that it does not ask for work out of all proportion."""
    if found == "png":
        for _ in png.chunks(data):
            pass
    elif found == "webp" and (declared := _webp_size(data)) and declared[0] * declared[1] > MAX_WEBP_PIXELS:
        raise _too_many_pixels(declared, MAX_WEBP_PIXELS, " as WebP")


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """By its header: Pillow's decoder takes its memory before it tells the size."""
    kind, number = data[12:16], int.from_bytes
    if kind == b"VP8X":
        return number(data[24:27], "little") + 1, number(data[27:30], "little") + 1
    if kind == b"VP8L":
        both = number(data[21:25], "little")
        return (both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return number(data[26:28], "little") & 0x3FFF, number(data[28:30], "little") & 0x3FFF
    return None


def _corrupt(what: str | None) -> Unusable:
    message = f"The picture ({(what or 'unknown').upper()}) is damaged or incomplete. Upload it again."
    return Unusable(finding("image_corrupt", "display", message))


def _too_many_pixels(found: tuple[int, int] | None, most: int = MAX_PIXELS, what: str = "") -> Unusable:
    is_ = f"is {size(found)}" if found else "has more"
    message = f"The picture {is_}; at most {most // 1_000_000} million pixels are taken{what}."
    return Unusable(
        finding("image_too_large", "display", message, measured=None if found is None else list(found), allowed=most)
    )


def _judge(data: bytes, image: ImageFile.ImageFile, report: Report) -> None:
    # A JPEG that carries a second picture (MPO, as telephones make them) is shown by everybody as its first.
    jpeg_like = image.format in {"JPEG", _MPO}
    report.facts["container"] = "jpeg" if jpeg_like else (image.format or "").lower()
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_many_pixels((width, height))
    if jpeg_like and (work := jpeg.scans(data) * width * height) > MAX_SCANNED_PIXELS:
        raise over_limit("pixels in all its scans", work, MAX_SCANNED_PIXELS)
    report.facts["coded"] = report.facts["display"] = (width, height)
    if not jpeg_like and getattr(image, "n_frames", 1) != 1:
        message = "The picture is animated; one picture is taken."
        report.problem(finding("image_format_not_allowed", "container", message, measured="animated"))
    _decode(data, image)
    if jpeg_like and not jpeg.is_what_it_says(data):
        message = f"The header says {size((width, height))}, the picture is of another size. Export it again."
        raise Unusable(finding("image_corrupt", "display", message, measured=[width, height]))
    if _turned(image):
        report.facts["display"] = (height, width)
        report.note("rotated", "display", "The picture carries a turn in its EXIF data.")
    report.facts["alpha"] = image.has_transparency_data


def _turned(image: ImageFile.ImageFile) -> bool:
    if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode it all to look behind the picture
        return False
    return image.getexif().get(_ORIENTATION) in _TURNED


def _decode(data: bytes, image: ImageFile.ImageFile) -> None:
    """Prove that the picture is all there, within the child's memory."""
    width, height = image.size
    if width * height * len(image.getbands()) > MAX_DECODED_BYTES:
        if image.format == "PNG":
            png.check_lines(data)
            return
        if image.format in {"JPEG", _MPO}:
            image.draft("L", (width // 8, height // 8))
    image.load()
