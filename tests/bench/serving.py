"""Show and List of both vendors' APIs over a socket, signed as their SDKs sign.

At a thousand jobs and at a million; and Show against a FastAPI endpoint that does one indexed read and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from orchestrator.app.keys import NewKey
from orchestrator.dialects.common.received import Received
from orchestrator.dialects.ims.words import PHASE_NAMES
from orchestrator.dialects.metastudio import signing
from orchestrator.dialects.metastudio.app import PREFIX
from orchestrator.domain.actors import Role
from orchestrator.embedded.kept import free_port
from orchestrator.embedded.process import Child, Process
from tests.bench.crowd import Crowd, crowds
from tests.bench.rows import Row, at_least, at_most, in_turns, row
from tests.bench.stand import ME, ROOT, await_true, plain
from tests.dialects.ims import signed

ROUNDS = 5
CONNECTIONS = 16
SHOWN = 200  # different jobs
LINES = 12  # in the log of a job that is shown
CALLS = 1_500  # of one measurement of throughput
ALONE = 60  # of one measurement of latency
STATUSES = tuple(PHASE_NAMES.values())
Request = bytes


def run() -> list[Row]:
    small, large = crowds()
    for crowd in (small, large):
        _give_a_life(crowd)
    with served(small) as at_small, served(large) as at_large, bare(large) as reference:
        shows, lists = (
            [_asked(at, crowd, path) for at, crowd in ((at_small, small), (at_large, large))]
            for path in ("show", "list")
        )
        keys = [crowd.app.keys.create(ME.project_id, Role.USER, "bench") for crowd in (small, large)]
        plain = [_get(reference, f"/jobs/{job_id}", {}) for job_id in _some_jobs(large)]
        for url, requests in ((at_small, shows[0]), (at_large, shows[1]), (reference, plain), (at_large, lists[1])):
            _throughput(url, requests)  # the warm-up
        alone = in_turns(
            ROUNDS,
            lambda: _latency(at_small, shows[0]),
            lambda: _latency(at_large, shows[1]),
            lambda: _latency(at_small, lists[0]),
            lambda: _latency(at_large, lists[1]),
            lambda: _latency(at_small, _by_status(at_small, keys[0])),
            lambda: _latency(at_large, _by_status(at_large, keys[1])),
        )
        ours, theirs = in_turns(ROUNDS, lambda: _throughput(at_large, shows[1]), lambda: _throughput(reference, plain))
    return [
        row("http: show at 1,000", alone[0] * 1000, "ms"),
        row("http: show at 1,000,000", alone[1] * 1000, "ms"),
        at_most("http: show, 1,000,000 to 1,000", alone[1] / alone[0], 2),
        row("http: list at 1,000", alone[2] * 1000, "ms"),
        row("http: list at 1,000,000", alone[3] * 1000, "ms"),
        at_most("http: list, 1,000,000 to 1,000", alone[3] / alone[2], 2),
        row("http: IMS list with a Status at 1,000", alone[4] * 1000, "ms"),
        row("http: IMS list with a Status at 1,000,000", alone[5] * 1000, "ms"),
        at_most("http: IMS list with a Status, 1,000,000 to 1,000", alone[5] / alone[4], 2),
        row("http: show, 16 connections", ours, "requests/s"),
        row("http: a bare FastAPI endpoint with one indexed read, 16 connections", theirs, "requests/s"),
        at_least("http: show, share of the bare endpoint", ours / theirs, 0.5),
    ]


@contextmanager
def served(crowd: Crowd) -> Iterator[str]:
    """Our HTTP process on a crowd's database, as it ships."""
    port = free_port()
    environ = {"UNDERSTUDY_CONFIG": str(crowd.config), "UNDERSTUDY_API__PORT": str(port)}
    with _process("api", [sys.executable, "-m", "orchestrator.http"], environ, port, crowd.config.parent) as url:
        yield url


@contextmanager
def bare(crowd: Crowd) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "tests.bench.bare_api:app", "--port", str(port), "--no-access-log"]
    with _process("bare", argv, {"BARE_DATABASE": crowd.url}, port, crowd.config.parent) as url:
        yield url


@contextmanager
def _process(name: str, argv: list[str], environ: Mapping[str, str], port: int, directory: Path) -> Iterator[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(directory), **environ}
    process = Process.start(Child(name=name, argv=argv, env=env, log_path=directory / f"{name}.log", cwd=ROOT))
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url).status_code > 0
        except httpx.TransportError:
            return False

    try:
        await_true(answers, 60, process.log_tail)
        yield url
    finally:
        process.stop()


def _asked(url: str, crowd: Crowd, what: str) -> list[Request]:
    """Signed requests for different jobs, or for the first page of the list; each is asked once before it counts."""
    key = crowd.app.keys.create(ME.project_id, Role.USER, "bench")
    root = f"{PREFIX}/{ME.project_id}/digital-human-training-manage/user/jobs"
    paths = [f"{root}/{job_id}" for job_id in _some_jobs(crowd)] if what == "show" else [root]
    requests = [_get(url, path, _signed(key, url, path)) for path in paths]
    answer = httpx.get(url + paths[0], headers=_signed(key, url, paths[0]))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found.get("count", 0) > 100 or found.get("job_id") == paths[0].rpartition("/")[2], found
    return requests


def _by_status(url: str, key: NewKey) -> list[Request]:
    """The first page of every Status in turn, each request with a nonce of its own: none may come twice."""
    found = []
    for number in range(ALONE):
        query = f"PageNo=1&PageSize=10&Status={STATUSES[number % len(STATUSES)]}"
        headers = signed.headers(urlsplit(url).netloc, key, "ListAvatarTrainingJobs", query)
        found.append(_request("POST", f"/?{query}", {**headers, "content-length": "0"}))
    return found


def _some_jobs(crowd: Crowd) -> list[str]:
    """Jobs spread over the whole table."""
    total = crowd.size
    numbers = [n for n in range(1, total + 1, max(1, total // SHOWN)) if n % 20]
    return [crowd.job_id(n) for n in numbers][:SHOWN]


def _give_a_life(crowd: Crowd) -> None:
    """Give the jobs that are shown the log of a finished job, in which there was some talk."""
    with plain(crowd.url) as connection:
        connection.execute(
            """
            INSERT INTO operation_log (job_id, version, at, actor, operator, command, source, target, log_type)
            SELECT id, n, now(), 'system', 'understudy', 'auto_accept', 'auto_verifying', 'manual_verifying',
                   'system_verify_success'
            FROM unnest(%s::text[]) id, generate_series(0, %s) n ORDER BY id, n
            """,
            [_some_jobs(crowd), LINES - 1],
        )


def _signed(key: NewKey, url: str, path: str) -> dict[str, str]:
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {"host": urlsplit(url).netloc, "x-sdk-date": at}
    sent = Received("GET", path.encode(), b"", [(n.encode(), v.encode()) for n, v in headers.items()], b"")
    text = signing.string_to_sign(at, signing.canonical_request(sent, sorted(headers)))
    names, made = ";".join(sorted(headers)), signing.signature(key.secret, text)
    said = f"{signing.ALGORITHM} Access={key.id}, SignedHeaders={names}, Signature={made}"
    return headers | {"authorization": said}


def _get(url: str, path: str, headers: Mapping[str, str]) -> Request:
    return _request("GET", path, {"host": urlsplit(url).netloc, **headers})


def _request(method: str, target: str, headers: Mapping[str, str]) -> Request:
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""]).encode()


# a client that costs little: it shares the machine with what it measures


def _latency(url: str, requests: Sequence[Request]) -> float:
    """Median of calls one after the other, in seconds."""
    return asyncio.run(_called(url, requests, 1, ALONE))[0]


def _throughput(url: str, requests: Sequence[Request]) -> float:
    return asyncio.run(_called(url, requests, CONNECTIONS, CALLS))[1]


async def _called(url: str, requests: Sequence[Request], connections: int, calls: int) -> tuple[float, float]:
    """The median of a call in seconds, and calls a second."""
    address = urlsplit(url)
    times: list[float] = []
    numbers = iter(range(calls))

    async def work() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for number in numbers:
            began_s = time.perf_counter()
            writer.write(requests[number % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            json.loads(await reader.readexactly(int(length.partition(b":")[2])))
            times.append(time.perf_counter() - began_s)
        writer.close()

    began_s = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(connections)))
    return sorted(times)[len(times) // 2], calls / (time.perf_counter() - began_s)
