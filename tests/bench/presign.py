"""How much faster the signer is than boto3, for the part URLs of one large upload."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from orchestrator.adapters.s3 import presign
from orchestrator.adapters.s3.client import Clients
from orchestrator.adapters.s3.options import S3Options
from tests.unit.adapters.s3.reference import clock_at

COUNT = 1000
PART_BYTES = 64 * 1024 * 1024
GOAL = 50
ROUNDS = 5


def run() -> list[dict[str, object]]:
    """Rows for the table of benchmarks; both sides are measured in the same process, best of several rounds."""
    clients = Clients(S3Options("http://127.0.0.1:9000", "bench", "AKBENCH", "secret"))
    now = datetime.now(UTC).replace(microsecond=0)
    key, upload_id = "staging/4f1d0b5ac7e94f0f9c0f7b1f4a2d6e83", "d1c8a6f2-6a5b-4a7b-9f62-2f1f4b6f0c11"
    numbers = range(1, COUNT + 1)
    sizes = dict.fromkeys(numbers, PART_BYTES)

    def ours() -> list[str]:
        valid = presign.Validity(now, timedelta(hours=1))
        return presign.presign_parts(
            clients.address, clients.credentials(), valid, key=key, upload_id=upload_id, numbers=numbers, sizes=sizes
        )

    def boto3s() -> list[str]:
        return [
            clients.public.generate_presigned_url(
                "upload_part",
                Params={
                    "Bucket": "bench",
                    "Key": key,
                    "UploadId": upload_id,
                    "PartNumber": number,
                    "ContentLength": PART_BYTES,
                },
                ExpiresIn=3600,
            )
            for number in numbers
        ]

    ours_s = boto3_s = float("inf")
    with clock_at(now):
        equal = ours() == boto3s()
        for _ in range(ROUNDS):  # in turns, so that a busy moment of the machine meets both
            boto3_s = min(boto3_s, _taken_s(boto3s))
            ours_s = min(ours_s, *(_taken_s(ours) for _ in range(10)))
    times = boto3_s / ours_s
    return [
        _row("presign: 1,000 part URLs, boto3", boto3_s * 1000, "ms"),
        _row("presign: 1,000 part URLs, ours", ours_s * 1000, "ms"),
        _row("presign: times faster than boto3", times, "x", goal=f">= {GOAL}", ok=times >= GOAL),
        _row("presign: byte for byte equal", float(equal), "yes=1", goal="1", ok=equal),
    ]


def _row(name: str, value: float, unit: str, goal: str = "", *, ok: bool = True) -> dict[str, object]:
    return {"name": name, "value": round(value, 2), "unit": unit, "goal": goal, "ok": ok}


def _taken_s(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
