"""What a file is by its first bytes. Only what is named here ever reaches a decoder."""

from __future__ import annotations

from typing import Final

HEAD_BYTES: Final = 600
ISOBMFF: Final = "isobmff"
EBML: Final = "ebml"

_BOXES: Final = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid", b"styp", b"sidx", b"moof"}
)
# Brands of HEIF and AVIF pictures and picture sequences. Source: ISO/IEC 23008-12, 10; AV1 Image File Format, 6.
PICTURE_BRANDS: Final = frozenset(
    {
        b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2",
        b"msf1",
    }
)  # fmt: skip
_TS_PACKET_BYTES: Final = 188
_MAGIC: Final = (
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"FLV", "flv"),
    (b"\x00\x00\x01\xba", "mpeg-ps"),
    (b"\x00\x00\x01\xb3", "mpeg-video"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    (b"nut/multimedia container\x00", "nut"),
    (b"DKIF", "ivf"),
    (b"YUV4MPEG2", "y4m"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"8BPS", "psd"),
    (b"%!PS", "postscript"),
    (b"ID3", "mp3"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"FORM", "aiff"),
    (b"#!AMR", "amr"),
    (b".RMF", "realmedia"),
    (b"BM", "bmp"),
)
_RIFF: Final = {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp"}
_GUESSES: Final = (
    (b"#EXTM3U", "a playlist"),
    (b"v=0", "a session description"),
    (b"ffconcat", "a list of files"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"MZ", "a program"),
    (b"\x7fELF", "a program"),
    (b"<?xml", "XML"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<svg", "an SVG drawing"),
    (b"<MPD", "a playlist"),
)
_BEFORE_A_PDF: Final = b"\xef\xbb\xbf\0\t\n\f\r "  # careless writers put these there, and every viewer takes it
_MP3_LAYERS: Final = 0xE6  # sync bits and "not layer 0" of the second byte of an MPEG audio frame
_PRINTABLE_LOW: Final = 9


def sniff(head: bytes) -> str | None:  # noqa: PLR0911 - one answer per family of formats
    """`isobmff`, `ebml`, the name of a known stranger (avi, ogg, png, ...), or None."""
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return EBML
    if head[4:8] in _BOXES:
        return ISOBMFF
    if head[:4] in {b"RIFF", b"RF64", b"RIFX"}:
        return _RIFF.get(head[8:12], "riff")
    if (known := next((name for magic, name in _MAGIC if head.startswith(magic)), None)) is not None:
        return known
    if head[:4] == b"\x00\x00\x00\x01" or (head[:3] == b"\x00\x00\x01" and len(head) > 3):
        return "raw-video"
    if head.lstrip(_BEFORE_A_PDF).startswith(b"%PDF-"):
        return "pdf"
    packets = [head[at : at + 1] for at in range(0, 3 * _TS_PACKET_BYTES, _TS_PACKET_BYTES)]
    if packets == [b"\x47"] * 3:
        return "mpeg-ts"
    if len(head) > 1 and head[0] == 0xFF and head[1] & _MP3_LAYERS in {0xE2, 0xE4, 0xE6}:
        return "mp3"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return "adts"
    return None


def guess(head: bytes) -> str:
    """Words for what the file seems to be, for messages; never quotes the file."""
    lead = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, words in _GUESSES:
        if lead[: len(magic)].lower() == magic.lower():
            return words
    if head and all(byte >= _PRINTABLE_LOW for byte in head[:64]):
        return "text"
    return "nothing known"
