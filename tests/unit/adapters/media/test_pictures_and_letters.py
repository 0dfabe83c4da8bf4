"""Pictures, letters and sound: what is taken, and what is refused why."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from functools import cache

import pytest
from PIL import Image

from orchestrator.adapters.media import audio, images, png
from orchestrator.domain.media import MediaKind, MediaRules
from tests.media_samples import codes, generator, inspect

RULES = MediaRules(name="asset")
PDF = b"%%PDF-1.4\n1 0 obj\n<< /Type /Catalog %s >>\nendobj\n%sxref\n0 1\ntrailer\n<< >>\nstartxref\n9\n%%%%EOF\n"


def picture(fmt="PNG", size=(64, 64), mode="RGB", **options):
    out = io.BytesIO()
    Image.new(mode, size).save(out, fmt, **options)
    return out.getvalue()


def animated(fmt):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, fmt, save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bomb():
    """A hundred thousand pixels a side, of which nothing is there."""
    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP"])
def test_the_three_formats_are_taken(fmt):
    facts = inspect(picture(fmt), MediaKind.IMAGE)
    assert (facts.container, facts.display, facts.problems) == (fmt.lower(), (64, 64), ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (picture("GIF"), ["image_format_not_allowed"]),
        (picture("TIFF"), ["image_format_not_allowed"]),
        (picture("BMP"), ["image_format_not_allowed"]),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", ["image_format_not_allowed"]),
        (animated("PNG"), ["image_format_not_allowed"]),
        (animated("WEBP"), ["image_format_not_allowed"]),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", ["image_unrecognized"]),
        (b"#EXTM3U\n", ["image_unrecognized"]),
        (picture("PNG", (500, 500))[:-40], ["image_corrupt"]),
        (picture("JPEG", (500, 500))[:400], ["image_corrupt"]),
        (picture("WEBP", (500, 500))[:-40], ["image_corrupt"]),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, ["image_corrupt"]),
        (png_bomb(), ["image_too_large"]),
    ],
    ids=["gif", "tiff", "bmp", "eps", "apng", "webp-animation", "svg", "playlist", "png-cut", "jpeg-cut", "webp-cut",
         "png-garbage", "png-bomb"],
)  # fmt: skip
def test_pictures_that_are_refused(data, expected):
    assert codes(data, RULES, MediaKind.IMAGE) == expected


def test_a_turn_in_exif_swaps_the_sides():
    facts = inspect(generator().jpeg(640, 480, orientation=6), MediaKind.IMAGE)
    assert (facts.coded, facts.display) == ((640, 480), (480, 640))
    assert [note.code for note in facts.notes] == ["rotated"]


@pytest.mark.parametrize(("mode", "options"), [("RGBA", {}), ("I;16", {}), ("1", {}), ("P", {}), ("LA", {})])
def test_a_large_png_is_checked_without_being_held(monkeypatch, mode, options):
    monkeypatch.setattr(images, "MAX_DECODED_BYTES", 1000)
    whole = picture("PNG", (101, 101), mode, **options)
    assert codes(whole, RULES, MediaKind.IMAGE) == []
    (idat,) = [(start, end) for kind, start, end in png.chunks(whole) if kind == b"IDAT"]
    lines = zlib.decompress(whole[slice(*idat)])
    short = whole[: idat[0] - 8] + chunk(b"IDAT", zlib.compress(lines[:-1])) + chunk(b"IEND", b"")
    assert codes(short, RULES, MediaKind.IMAGE) == ["image_corrupt"]


def jpeg_of(size=(640, 480), claims=None, **options):
    """A JPEG of noise, whose header then claims another size."""
    out = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, "JPEG", **options)
    data = bytearray(out.getvalue())
    frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    struct.pack_into(">HH", data, frame + 5, *(claims or size)[::-1])
    return bytes(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("claims", [(640, 640), (1280, 480), (640, 496), (480, 480)])
def test_a_jpeg_whose_header_lies_about_its_size_is_refused(options, claims):
    assert codes(jpeg_of(**options), RULES, MediaKind.IMAGE) == []
    assert codes(jpeg_of(claims=claims, **options), RULES, MediaKind.IMAGE) == ["image_corrupt"]


def test_pictures_that_ask_for_too_much_work_are_refused(monkeypatch):
    crowded = picture("PNG")[:33] + chunk(b"tEXt", b"a\0b") * (png.MAX_CHUNKS + 1) + picture("PNG")[33:]
    assert codes(crowded, RULES, MediaKind.IMAGE) == ["container_limits"]
    wide = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f" + (7999 | 7999 << 14).to_bytes(4, "little") + bytes(9)
    assert codes(wide, RULES, MediaKind.IMAGE) == ["image_too_large"]
    monkeypatch.setattr(images, "MAX_SCANNED_PIXELS", 5 * 640 * 480)
    assert codes(jpeg_of(), RULES, MediaKind.IMAGE) == []
    assert codes(jpeg_of(progressive=True), RULES, MediaKind.IMAGE) == ["container_limits"]


def test_a_jpeg_with_a_second_picture_behind_is_its_first():
    out = io.BytesIO()
    Image.new("RGB", (64, 48)).save(out, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    facts = inspect(out.getvalue(), MediaKind.IMAGE)
    assert (facts.container, facts.display, facts.problems) == ("jpeg", (64, 48), ())


@pytest.mark.parametrize("extra", [b"", b"/Pages 2 0 R", b"/JSON 1", b"/OpenActionless 1"])
def test_a_plain_letter_is_taken(extra):
    assert codes(PDF % (extra, b""), RULES, MediaKind.DOCUMENT) == []


@pytest.mark.parametrize("lead", [b"\n", b"\r\n \t", b"\xef\xbb\xbf"])
def test_white_space_before_a_letter_is_nobody_s_harm(lead):
    assert codes(lead + PDF % (b"", b""), RULES, MediaKind.DOCUMENT) == []
    assert codes(lead + PDF % (b"/JS (x)", b""), RULES, MediaKind.DOCUMENT) == ["document_active_content"]


def object_stream(text):
    packed = zlib.compress(text)
    return b"4 0 obj\n<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode >>\nstream\n" + packed + b"\nendstream\n"


@pytest.mark.parametrize(
    ("extra", "objects"),
    [
        (b"/OpenAction << /S /JavaScript /JS (app.alert(1)) >>", b""),
        (b"/AA << /O << /S /Launch >> >>", b""),
        (b"/Names << /EmbeddedFiles 3 0 R >>", b""),
        (b"/A << /S /J#61vaScript >>", b""),
        (b"/A<</JS(x)>>", b""),
        (b"", object_stream(b"1 0 << /S /JavaScript /JS (x) >>")),
        (b"", object_stream(random.Random(1).randbytes(300_000) + b" << /S /JavaScript /JS (x) >>")),
    ],
)
def test_a_letter_that_acts_is_refused(extra, objects):
    assert codes(PDF % (extra, objects), RULES, MediaKind.DOCUMENT) == ["document_active_content"]


@pytest.mark.timeout(20)  # they took minutes when each looked for its stream, or held what lay behind it, anew
@pytest.mark.parametrize("objects", [b"/ObjStm " * 1_000_000, object_stream(b"plain") * 20_000, b"#4a" * 5_000_000])
def test_a_letter_of_a_million_nothings_is_read_once(objects):
    assert codes(PDF % (b"", objects), RULES, MediaKind.DOCUMENT) == []


def test_other_letters():
    whole = PDF % (b"", b"")
    assert codes(picture("JPEG"), RULES, MediaKind.DOCUMENT) == []
    assert codes(whole[:-20], RULES, MediaKind.DOCUMENT) == ["document_corrupt"]
    assert codes(PDF % (b"/Encrypt 5 0 R", b""), RULES, MediaKind.DOCUMENT) == ["document_corrupt"]
    assert codes(b"MZ\x90\0", RULES, MediaKind.DOCUMENT) == ["document_unrecognized"]
    assert codes(picture("WEBP"), RULES, MediaKind.DOCUMENT) == ["document_format_not_allowed"]


def packed(*files, packing=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", packing) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return out.getvalue()


def protected():
    """A ZIP whose list says that its file is encrypted."""
    whole = bytearray(packed(("a.wav", generator().wav(1, 8000))))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        whole[whole.index(signature) + flags] |= 1
    return bytes(whole)


def claiming(size):
    """A ZIP whose list says that its file unpacks to `size` bytes."""
    whole = bytearray(packed(("a.wav", generator().wav(1, 8000))))
    struct.pack_into("<I", whole, whole.index(b"PK\x01\x02") + 24, size)
    return bytes(whole)


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (lambda wav: packed(("a.wav", wav), ("more/b.wav", wav), ("__MACOSX/._a.wav", b"x"), ("empty/", b"")), []),
        (
            lambda wav: packed(("\xe4.wav", wav), packing=zipfile.ZIP_STORED),
            [],
        ),
        (lambda wav: packed(("a.wav", wav), ("b.txt", b"hello")), ["audio_unrecognized"]),
        (lambda wav: packed(("a.wav", wav), ("b.zip", packed(("a.wav", wav)))), ["audio_unrecognized"]),
        (lambda _: packed(), ["audio_unrecognized"]),
        (lambda wav: packed(("../a.wav", wav)), ["container_corrupt"]),
        (lambda wav: packed(("a.wav", wav), packing=zipfile.ZIP_LZMA), ["container_corrupt"]),
        (lambda wav: packed(("a.wav", wav))[:-30], ["container_corrupt"]),
        (lambda _: packed(*((f"{n}.wav", b"") for n in range(101))), ["container_limits"]),
        (lambda _: claiming(2**32 - 2), ["container_limits"]),
        (lambda _: protected(), ["encrypted"]),
    ],
)
def test_a_zip_holds_sound_and_nothing_else(whole, expected):
    rules = MediaRules(audio_formats=("zip", "wav"))
    assert codes(whole(generator().wav(1, 8000)), rules, MediaKind.AUDIO) == expected


def test_a_zip_is_taken_only_where_the_profile_says_so():
    assert codes(packed(("a.wav", generator().wav(1, 8000))), RULES, MediaKind.AUDIO) == ["audio_format_not_allowed"]


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF, 10**6])
def test_the_length_of_a_recording_is_what_is_there(size):
    facts = inspect(generator().wav(5, 8000, data_size=size), MediaKind.AUDIO)
    assert (facts.duration_s, facts.sample_rate_hz, facts.channels, facts.problems) == (5.0, 8000, 1, ())


def test_a_large_recording_is_measured_without_reading_it_all():
    facts = inspect(generator().wav(300, 48000, channels=2), MediaKind.AUDIO)
    assert (facts.duration_s, facts.sample_rate_hz) == (300.0, 48000)


@cache
def silence(fmt, codec, seconds):
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=fmt) as container:
        stream = container.add_stream(codec, rate=48000, layout="mono")
        samples = stream.codec_context.frame_size or 4096
        for index in range(int(seconds * 48000 / samples)):
            frame = av.AudioFrame(format=stream.codec_context.format.name, layout="mono", samples=samples)
            frame.rate, frame.pts = 48000, index * samples
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize("seconds", [5, 45], ids=["decoded", "told by its packets"])
@pytest.mark.parametrize(("fmt", "codec", "name"), [("mp3", "libmp3lame", "mp3"), ("ipod", "aac", "m4a"), ("ogg", "libopus", "ogg"), ("flac", "flac", "flac")])  # fmt: skip # noqa: E501
def test_other_sound_formats_are_measured_by_what_is_there(fmt, codec, name, seconds):
    whole = silence(fmt, codec, seconds)
    facts = inspect(whole, MediaKind.AUDIO)
    assert (facts.container, facts.problems) == (name, ())
    assert facts.duration_s == pytest.approx(seconds, abs=0.1)
    if name == "mp3":  # silence in the others is hardly more than their headers
        half = inspect(whole[: len(whole) // 2], MediaKind.AUDIO)
        assert half.duration_s == pytest.approx(seconds / 2, abs=seconds / 10)


@pytest.mark.parametrize(("fmt", "codec"), [("mp3", "libmp3lame"), ("ogg", "libopus"), ("flac", "flac")])
@pytest.mark.parametrize("limit", ["MAX_DECODED_FILE_BYTES", "MAX_WALKED"])
def test_what_is_too_much_to_be_read_is_measured_at_its_end(monkeypatch, fmt, codec, limit):
    for name, value in (("DECODED_S", 2), ("END_S", 2), (limit, 1000 if limit.endswith("BYTES") else 400)):
        monkeypatch.setattr(audio, name, value)
    facts = inspect(silence(fmt, codec, 45), MediaKind.AUDIO)
    assert facts.problems == ()
    assert facts.duration_s == pytest.approx(45, abs=0.15)


def test_a_header_that_tells_too_early_an_end_of_very_much_sound_is_not_followed(monkeypatch):
    monkeypatch.setattr(audio, "MAX_WALKED", 400)
    monkeypatch.setattr(audio, "DECODED_S", 2)
    lying = silence("mp3", "libmp3lame", 6) + silence("mp3", "libmp3lame", 45)
    assert codes(lying, RULES, MediaKind.AUDIO) == ["duration_unknown"]


def test_sound_that_is_none():
    g = generator()
    assert codes(b"#EXTM3U\n", RULES, MediaKind.AUDIO) == ["audio_unrecognized"]
    video = g.mux("mp4", [g.vtrack(g.h264(), 5)])
    assert codes(video, RULES, MediaKind.AUDIO)[0] in {"audio_format_not_allowed", "no_audio_stream"}
    assert codes(b"ID3\x04\0\0\0\0\0\0" + b"\0" * 400, RULES, MediaKind.AUDIO) != []
