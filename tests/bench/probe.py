"""What it costs to judge a two-gigabyte video of which only the end tells what it is: bytes, requests, time, memory."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from orchestrator.adapters.media import sandbox
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sandbox import Limits
from orchestrator.adapters.media.sources import LocalFile
from orchestrator.adapters.s3.options import S3Options
from orchestrator.adapters.s3.storage import S3Storage
from orchestrator.app.stored import StoredObject
from orchestrator.domain.media import MediaKind, check
from orchestrator.ports.prober import ByteSource
from tests.bench.rows import Row, at_most, row
from tests.media_samples import METASTUDIO, generator
from tests.servers import StoreServer

TOTAL_BYTES: Final = 2_000_000_000
SECONDS, FPS = 600, 25
MOST_SHARE_PERCENT, MOST_REQUESTS, MOST_CPU_S, MOST_MIB = 0.15, 10, 1.0, 256
ROUNDS: Final = 3
MIB: Final = 1024 * 1024


def run() -> list[Row]:
    """Rows for the table of benchmarks: the same file from a disk and from a real S3 store."""
    with StoreServer() as server:
        options = S3Options(server.url, server.bucket, server.access_key, server.secret_key)
        storage = S3Storage(options)
        storage.create_bucket()
        # The store keeps objects as plain files: what is laid there is an object, without sending two gigabytes.
        path = server.dir / "objects" / server.bucket / "films" / "two-gigabytes.mp4"
        path.parent.mkdir()
        write(path)
        with LocalFile(path) as source:
            local = _rows("local file", source)
        return [*local, *_rows("S3", StoredObject.at(storage, "films/two-gigabytes.mp4"))]


def write(path: Path, total_bytes: int = TOTAL_BYTES) -> None:
    """A sparse MP4 whose header is its last part; every picture is where its tables say, holes between them."""
    g = generator()
    count = SECONDS * FPS
    clip = g.h264(fps=FPS)
    movie = g.Mp4(g.mux("mp4", [g.vtrack(clip, SECONDS, FPS)], tb=12800))
    each = total_bytes // count
    head = movie.top[0].bytes()
    start = len(head) + 16
    stbl = movie.video().get(b"mdia", b"minf", b"stbl")
    stbl.drop(b"stco", b"stsz", b"stsc")
    offsets = [start + index * each for index in range(count)]
    stbl.kids += [
        g.fullbox(b"stsz", 0, 0, struct.pack(">II", 0, count), struct.pack(">I", each) * count),
        g.fullbox(b"stsc", 0, 0, struct.pack(">4I", 1, 1, 1, 1)),
        g.fullbox(b"co64", 0, 0, struct.pack(">I", count), struct.pack(f">{count}Q", *offsets)),
    ]
    with path.open("wb") as file:
        file.write(head + struct.pack(">I4sQ", 1, b"mdat", 16 + count * each))
        for index, offset in enumerate(offsets):
            data = clip.at(index)[0]
            file.seek(offset)
            file.write(data + struct.pack(">I", each - len(data) - 4) + b"\x0c")  # the rest is one filler unit
        file.seek(start + count * each)
        file.write(movie.moov.bytes())


def _rows(where: str, source: ByteSource) -> list[Row]:
    verdict = check(SandboxedProber().facts(source, MediaKind.VIDEO), METASTUDIO)
    outcomes = [sandbox.run(source, "video", Limits()) for _ in range(ROUNDS)]
    results = [outcome.result or {} for outcome in outcomes]
    share = max(outcome.read_bytes for outcome in outcomes) / source.size_bytes * 100
    return [
        row(f"probe: 2 GB MP4, {where}: accepted", float(verdict.accepted), "yes=1", "1", ok=verdict.accepted),
        at_most(f"probe: {where}: bytes read", share, MOST_SHARE_PERCENT, "%"),
        at_most(f"probe: {where}: requests", max(outcome.requests for outcome in outcomes), MOST_REQUESTS, ""),
        at_most(f"probe: {where}: CPU of the child", min(r.get("cpu_s", 99.0) for r in results), MOST_CPU_S, "s"),
        at_most(
            f"probe: {where}: memory of the child", max(r.get("peak_bytes", 0) for r in results) / MIB, MOST_MIB, "MiB"
        ),
        row(f"probe: {where}: from start to verdict", min(outcome.seconds for outcome in outcomes), "s"),
    ]
