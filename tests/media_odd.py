"""Boundary, odd and hostile videos, built on the fly with the sample generator's encoders and muxers.

Each row: a name that says what the file is, how to build it, the rules, and the reason codes it must get.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from orchestrator.domain.media import MediaRules
from tests.media_samples import METASTUDIO, RULES, generator

OPAQUE, TRANSPARENT = RULES["ims_opaque"], RULES["ims_transparent"]
NORMAL_RATE = 1 << 16  # an edit's normal rate
FRAGMENTS = "frag_keyframe+empty_moov+default_base_moof"


class Odd(NamedTuple):
    name: str
    build: Callable[[], bytes]
    rules: MediaRules
    codes: tuple[str, ...] = ()


def mp4(seconds=200, *, fps=1, tb=None, n=None, **options) -> bytes:
    g = generator()
    clip = g.h264(fps=fps, n=n) if n else g.h264(fps=fps)
    return g.mux("mp4", [g.vtrack(clip, seconds, fps)], tb=tb, **options)


def frames(count: int, fps: int = 25, **options) -> bytes:
    return mp4(Fraction(count, fps), fps=fps, tb=12800, **options)


def vp9(**options):
    return generator().clip("libvpx-vp9", 1920, 1080, n=60, **options)


def webm(seconds=320, *, fps=1, clip=None, **options) -> bytes:
    g = generator()
    return g.webm([g.vtrack(clip or vp9(), seconds, fps)], **options)


def coded(codec, pix="yuv420p", *, fmt="mov", n=4, **options) -> bytes:
    g = generator()
    return g.mux(fmt, [g.vtrack(g.clip(codec, 1920, 1080, pix, n=n, **options), 320)])


def edited(change, data=None) -> bytes:
    return generator().edit(data or mp4(), change)


def edits(*pieces):
    """Args: pieces: (seconds, media time, rate)."""
    g = generator()

    def change(movie):
        track = movie.video()
        scale = struct.unpack_from(">I", movie.moov.get(b"mvhd").data, 12)[0]
        rows = [struct.pack(">IiI", int(s * scale), start, rate) for s, start, rate in pieces]
        track.drop(b"edts")
        table = g.fullbox(b"elst", 0, 0, struct.pack(">I", len(rows)), *rows)
        track.kids.insert(1, g.Box(b"edts", kids=[table]))

    return change


def table(name: bytes, offset: int, layout: str, *values: int):
    def change(movie):
        movie.video().get(b"mdia", b"minf", b"stbl", name).put(offset, layout, *values)

    return change


def sample_entry(old: bytes, new: bytes):
    def change(movie):
        box = movie.video().get(b"mdia", b"minf", b"stbl", b"stsd")
        box.data = box.data.replace(old, new)

    return change


def without(*tables: bytes):
    return lambda movie: movie.video().get(b"mdia", b"minf", b"stbl").drop(*tables)


def coded_as(codec) -> bytes:
    return coded(codec, fmt="mp4", n=30)


def elsewhere(movie) -> None:
    g = generator()
    dref = movie.video().get(b"mdia", b"minf", b"dinf", b"dref")
    dref.data = struct.pack(">II", 0, 1) + g.fullbox(b"url ", 0, 0, b"http://127.0.0.1:9/x\0").bytes()


def two_entries(movie) -> None:
    box = movie.video().get(b"mdia", b"minf", b"stbl", b"stsd")
    entry = box.data[8:]
    other = entry[:32] + struct.pack(">HH", 640, 360) + entry[36:]
    box.data = struct.pack(">II", 0, 2) + entry + other


def second_video(flags: int):
    def build() -> bytes:
        g = generator()
        data = g.mux("mp4", [g.vtrack(g.h264(), 200), g.vtrack(g.h264(640, 360), 200)])
        return g.edit(data, lambda movie: movie.traks(b"vide")[1].get(b"tkhd").put(0, ">I", flags))

    return build


def no_ftyp() -> bytes:
    movie = generator().Mp4(mp4())
    movie.top.pop(0)
    return movie.bytes()


def compressed_bomb() -> bytes:
    g = generator()
    cmov = g.box(b"cmov", g.box(b"dcom", b"zlib"), g.box(b"cmvd", struct.pack(">I", 1 << 31), b"x" * 64))
    movie = g.Mp4(mp4())
    movie.top[[b.kind for b in movie.top].index(b"moov")] = g.Box(b"moov", cmov.bytes())
    return b"".join(box.bytes() for box in movie.top)


def zeroed(share: float) -> bytes:
    data = mp4()
    at, length = generator().find_box(data, b"mdat")
    start = at + 8 + int((length - 8) * (1 - share))
    return data[:start] + bytes(at + length - start) + data[at + length :]


def late_block() -> bytes:
    g = generator()
    block = g.el("A3", b"\x81\0\0\x80", vp9().packets[0][0])
    return webm(3, cluster=1) + bytes.fromhex("1F43B675") + g.UNKNOWN + g.uint("E7", 400_000) + block


def jumping_fragments() -> bytes:
    """The last fragment claims to start 1000 s later than it does."""
    data = bytearray(mp4(100, n=50, movflags=FRAGMENTS))
    at = data.rfind(b"tfdt")
    (start,) = struct.unpack_from(">Q", data, at + 8)
    struct.pack_into(">Q", data, at + 8, start + 12800 * 1000)
    return bytes(data)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def _boundaries() -> list[Odd]:
    short, long = ("duration_too_short",), ("duration_too_long",)
    out = []
    for count, codes in ((4499, short), (4500, ()), (15000, ()), (15001, long)):
        out += [
            Odd(f"mp4 of {count} frames", lambda c=count: frames(c), METASTUDIO, codes),
            Odd(f"fragments of {count} frames", lambda c=count: frames(c, n=50, movflags=FRAGMENTS), METASTUDIO, codes),
        ]
    for count, codes in ((7499, short), (7500, ()), (22500, ()), (22501, long)):
        out.append(Odd(f"webm of {count} frames", lambda c=count: webm(Fraction(c, 25), fps=25), OPAQUE, codes))
    for fps in (Fraction(24), Fraction(30), Fraction(30000, 1001)):
        enough = -int(-300 * fps // 1)
        out += [
            Odd(f"webm at {fps} of 300 s", lambda n=enough, f=fps: webm(n / f, fps=f), OPAQUE),
            Odd(f"webm at {fps} a frame short", lambda n=enough, f=fps: webm((n - 1) / f, fps=f), OPAQUE, short),
        ]
    return out


def _containers() -> list[Odd]:
    g, foreign = generator(), ("container_not_allowed",)
    unknown = ("container_unrecognized",)
    return [
        Odd("mov brand", lambda: g.mux("mov", [g.vtrack(g.h264(), 200)]), METASTUDIO, foreign),
        Odd("unknown brand", lambda: edited(lambda m: m.top[0].put(0, ">4s", b"zzzz")), METASTUDIO),
        Odd("3gp brand", lambda: g.mux("3gp", [g.vtrack(g.h264(), 200)]), METASTUDIO),
        Odd("no ftyp is mov", no_ftyp, METASTUDIO, foreign),
        Odd(
            "no ftyp taken as mov", lambda: edited(lambda _: None, no_ftyp()), replace(METASTUDIO, containers=("mov",))
        ),
        Odd("mpeg-ts", lambda: g.mux("mpegts", [g.vtrack(g.h264(), 200)]), METASTUDIO, foreign),
        Odd("flv", lambda: g.mux("flv", [g.vtrack(g.h264(), 200)]), METASTUDIO, foreign),
        Odd("heic brand", lambda: edited(lambda m: m.top[0].put(0, ">4s", b"heic")), METASTUDIO, foreign),
        Odd("heim brand", lambda: edited(lambda m: m.top[0].put(0, ">4s", b"heim")), METASTUDIO, foreign),
        Odd("matroska doctype", lambda: webm(doctype="matroska"), OPAQUE, foreign),
        Odd("wave file", lambda: g.wav(5), METASTUDIO, foreign),
        Odd(
            "session description", lambda: b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", OPAQUE, unknown
        ),
        Odd("list of files", lambda: b"ffconcat version 1.0\nfile /etc/hostname\n", OPAQUE, unknown),
        Odd("html in front", lambda: b"<html>" + mp4(), METASTUDIO, unknown),
        Odd("jpeg in front", lambda: g.jpeg(64, 64) + mp4(), METASTUDIO, unknown),
        Odd("zip behind", lambda: mp4() + b"PK\3\4" + b"x" * 500, METASTUDIO),
        Odd("zip behind webm", lambda: webm(unknown=False, duration=320000.0) + b"PK\3\4x", OPAQUE),
        Odd("no header", lambda: mp4().replace(b"moov", b"free"), METASTUDIO, ("container_corrupt",)),
    ]


def _times() -> list[Odd]:
    g, short, lie = generator(), "duration_too_short", "duration_mismatch"
    normal = NORMAL_RATE
    return [
        Odd("edit cuts to 170 s", lambda: edited(edits((170, 0, normal))), METASTUDIO, (short, lie)),
        Odd("empty edit first", lambda: edited(edits((5, -1, normal), (200, 0, normal))), METASTUDIO),
        Odd(
            "empty edit does not count",
            lambda: edited(edits((50, -1, normal), (150, 0, normal)), mp4(150)),
            METASTUDIO,
            (short,),
        ),
        Odd(
            "two edits add up",
            lambda: edited(edits((100, 0, normal), (90, 12800 * 100, normal))),
            METASTUDIO,
        ),
        Odd("edit beyond the media", lambda: edited(edits((500, 0, normal)), mp4(100)), METASTUDIO, (short,)),
        Odd("edit of length zero", lambda: edited(edits((0, 0, normal))), METASTUDIO),
        Odd(
            "edits that show nothing",
            lambda: edited(edits((100, -1, normal), (100, -1, normal))),
            METASTUDIO,
            (short, lie),
        ),
        Odd("too many edits", lambda: edited(edits(*[(1, 0, normal)] * 300)), METASTUDIO, ("container_limits",)),
        Odd("header durations zero", lambda: edited(lambda m: g.set_durations(m, 0, 0, 0)), METASTUDIO),
        Odd("header durations unset", lambda: edited(lambda m: g.set_durations(m, "max", "max", "max")), METASTUDIO),
        Odd("header of webm lies", lambda: webm(20, duration=365000.0), OPAQUE, (short, lie)),
        Odd("duration not a number", lambda: webm(duration=float("nan")), OPAQUE),
        Odd("one late block", late_block, OPAQUE, ("timestamp_gap",)),
        Odd("fragments that jump", jumping_fragments, METASTUDIO, ("duration_too_long", "timestamp_gap")),
        Odd("sample of 2000 s", lambda: edited(table(b"stts", 12, ">I", 12800 * 2000)), METASTUDIO, ("timestamp_gap",)),
        Odd("no samples", lambda: edited(table(b"stsz", 4, ">II", 0, 0)), METASTUDIO, (short, lie)),
        Odd("reordered pictures", lambda: reordered(180), METASTUDIO),
    ]


def reordered(seconds) -> bytes:
    g = generator()
    clip = g.clip("libx264", 1920, 1080, n=30, fps=25, opts={"preset": "medium", "bf": "3"})
    return g.mux("mp4", [g.vtrack(clip, seconds, 25)], tb=12800)


def _bombs() -> list[Odd]:
    g, limits = generator(), ("container_limits",)
    many = 0x7FFFFFFF
    scale = g.uint("2AD7B1", 1_000_000), g.el("2AD7B1", b"\0\0\0")
    return [
        Odd("stsz count", lambda: edited(table(b"stsz", 8, ">I", many)), METASTUDIO, limits),
        Odd("stsz constant size", lambda: edited(table(b"stsz", 4, ">II", 1, many)), METASTUDIO, limits),
        Odd("stts entries", lambda: edited(table(b"stts", 4, ">I", many)), METASTUDIO, limits),
        Odd("stts samples", lambda: edited(table(b"stts", 8, ">I", many)), METASTUDIO, limits),
        Odd("stsc product", lambda: edited(table(b"stsc", 12, ">I", many)), METASTUDIO, limits),
        Odd(
            "stco shorter than its count",
            lambda: edited(table(b"stco", 4, ">I", 5000)),
            METASTUDIO,
            ("container_corrupt",),
        ),
        Odd("tracks", lambda: edited(lambda m: m.moov.kids.extend([g.Box(b"trak", b"")] * 100)), METASTUDIO, limits),
        Odd("compressed header", compressed_bomb, METASTUDIO, limits),
        Odd("time scale zero", lambda: webm().replace(*scale), OPAQUE, ("container_corrupt",)),
        Odd(
            "16384 pixels a side",
            lambda: edited(table(b"stsd", 40, ">HH", 16384, 16384)),
            METASTUDIO,
            ("decode_failed", "resolution_not_allowed"),
        ),
        Odd("media elsewhere", lambda: edited(elsewhere), METASTUDIO, ("external_reference",)),
        Odd("encrypted mp4", lambda: edited(sample_entry(b"avc1", b"encv")), METASTUDIO, ("encrypted",)),
        Odd(
            "encrypted webm",
            lambda: webm(encoding=g.el("6D80", g.el("6240", g.uint("5033", 1)))),
            OPAQUE,
            ("encrypted",),
        ),
    ]


def _damaged() -> list[Odd]:
    broken, early = ("decode_failed",), ("container_truncated",)
    whole = lambda: generator().cut_mfra(mp4(500, n=50, movflags=FRAGMENTS))  # noqa: E731
    return [
        Odd("cut behind the header", lambda: cut(generator().fast(mp4()), 0.9), METASTUDIO, early),
        Odd("cut before the header", lambda: cut(mp4(), 0.7), METASTUDIO, early),
        Odd("cut in its first box", lambda: mp4()[:24], METASTUDIO, early),
        Odd("cut fragments", lambda: cut(whole(), 0.9), METASTUDIO),
        Odd("cut fragments too short", lambda: cut(whole(), 0.3), METASTUDIO, ("duration_too_short",)),
        Odd("cut recording", lambda: cut(webm(365), 0.9), OPAQUE),
        Odd("cut webm of known size", lambda: cut(webm(365, unknown=False), 0.9), OPAQUE, early),
        Odd("no list of key frames", lambda: edited(without(b"stss")), METASTUDIO),
        Odd("no list of key frames, zeroed", lambda: edited(without(b"stss"), zeroed(0.5)), METASTUDIO, broken),
        Odd("no list of key frames, vp9", lambda: edited(without(b"stss"), coded_as("libvpx-vp9")), OPAQUE),
        Odd("no list of key frames, hevc", lambda: edited(without(b"stss"), coded_as("libx265")), OPAQUE),
        Odd("no list of key frames, av1", lambda: edited(without(b"stss"), coded_as("libsvtav1")), OPAQUE),
        Odd("zeroed", lambda: zeroed(1), METASTUDIO, broken),
        Odd("zeroed second half", lambda: zeroed(0.5), METASTUDIO, broken),
    ]


def _pictures() -> list[Odd]:
    g, missing = generator(), ("alpha_missing",)
    turned = [
        Odd(
            f"turned by {turn}",
            lambda turn=turn: edited(lambda m: g.set_matrix(m.video(), turn)),
            METASTUDIO,
            ("rotation_not_supported",) if turn == 45 else (),
        )
        for turn in g.MATRICES
    ]
    unset = lambda movie: movie.video().get(b"tkhd").put(40, ">9i", *[0] * 9)  # noqa: E731
    narrow = lambda: g.clip("libx264", 1440, 1080, n=50, sar="4:3")  # noqa: E731
    wide = lambda: g.uint("54B0", 2560) + g.uint("54BA", 1080)  # noqa: E731
    return [
        *turned,
        Odd("turned by nothing", lambda: edited(unset), METASTUDIO),
        Odd("pixels 4:3", lambda: g.mux("mp4", [g.vtrack(narrow(), 200)]), METASTUDIO, ("pixel_aspect_not_square",)),
        Odd("display size", lambda: webm(extra_video=wide()), replace(OPAQUE, sizes=()), ("pixel_aspect_not_square",)),
        Odd("crop asked for", lambda: webm(extra_video=g.uint("54AA", 8)), OPAQUE),
        Odd(
            "header lies about the size",
            lambda: webm(clip=g.clip("libvpx-vp9", 640, 360, n=60), sizes={0: (1920, 1080)}),
            OPAQUE,
            ("resolution_not_allowed",),
        ),
        Odd("two sample entries", lambda: edited(two_entries), METASTUDIO, ("resolution_changes",)),
        Odd("two videos", second_video(3), METASTUDIO, ("multiple_video_streams",)),
        Odd("second video disabled", second_video(0), METASTUDIO),
        Odd("only sound", lambda: g.mux("mp4", [g.atrack(200)]), METASTUDIO, ("no_video_stream",)),
        Odd("vp9 flag without alpha data", lambda: webm(alpha_mode=1), TRANSPARENT, missing),
        Odd("vp9 flag without alpha data is opaque", lambda: webm(alpha_mode=1), OPAQUE),
        Odd("vp9 alpha data without flag", lambda: webm(clip=vp9(pix="yuva420p"), alpha_mode=0), TRANSPARENT, missing),
        Odd("vp9 alpha", lambda: webm(clip=vp9(pix="yuva420p")), TRANSPARENT),
        Odd("vp8 alpha", lambda: webm(clip=g.clip("libvpx", 1920, 1080, "yuva420p", n=30)), TRANSPARENT),
        Odd("prores 4444", lambda: coded("prores_ks", "yuva444p10le"), TRANSPARENT),
        Odd("prores 422", lambda: coded("prores_ks", "yuv422p10le"), OPAQUE),
        Odd("png with alpha", lambda: coded("png", "rgba"), TRANSPARENT),
        Odd("png without alpha", lambda: coded("png", "rgb24"), TRANSPARENT, missing),
        Odd("hevc", lambda: coded("libx265", fmt="mp4", n=30), OPAQUE),
        Odd("hevc 10 bit hdr", lambda: coded("libx265", "yuv420p10le", fmt="mp4", n=30, color=(9, 16, 9)), OPAQUE),
        Odd("mjpeg", lambda: coded("mjpeg", "yuvj420p"), OPAQUE),
        Odd("mpeg4", lambda: coded("mpeg4", fmt="mp4", n=12), OPAQUE),
        Odd("mpeg2", lambda: coded("mpeg2video", n=12, fps=25), OPAQUE, ("codec_not_allowed",)),
        Odd("vp9 in mp4", lambda: g.mux("mp4", [g.vtrack(vp9(), 200)]), METASTUDIO),
        Odd("h264 in webm", lambda: webm(clip=g.h264()), OPAQUE),
        Odd("silent where sound is a must", mp4, replace(METASTUDIO, sound_required=True), ("no_audio_stream",)),
    ]


def corpus() -> list[Odd]:
    return [*_boundaries(), *_containers(), *_times(), *_bombs(), *_damaged(), *_pictures()]
