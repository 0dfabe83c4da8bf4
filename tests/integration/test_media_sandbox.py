"""What the confined child cannot do, and how its parent ends it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import psutil
import pytest

from orchestrator.adapters.media import sandbox
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.adapters.media.sandbox import Limits
from orchestrator.domain.errors import CheckBrokenOff, StorageUnavailable
from orchestrator.domain.media import MediaKind
from orchestrator.ports.storage import ObjectChanged, ObjectMissing
from tests.media_odd import mp4, webm
from tests.media_samples import METASTUDIO, RULES, Bytes, generator, sample
from tests.workers import wait_until

VIDEO = MediaKind.VIDEO


@pytest.fixture(scope="module")
def prober():
    return SandboxedProber()


class Listener:
    """A socket on loopback that counts who comes."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.01)
        self.port = self._socket.getsockname()[1]

    def visitors(self):
        count = 0
        while True:
            try:
                self._socket.accept()[0].close()
            except TimeoutError:
                return count
            count += 1

    def close(self):
        self._socket.close()


@pytest.fixture
def listener():
    open_socket = Listener()
    yield open_socket
    open_socket.close()


def disguises(port, canary):
    """Texts and boxes that make careless readers open an address or a file."""
    url = f"http://127.0.0.1:{port}/x".encode()
    path = str(canary).encode()
    g = generator()
    dref = (
        struct.pack(">II", 0, 2)
        + g.fullbox(b"url ", 0, 0, url + b"\0").bytes()
        + g.fullbox(b"alis", 0, 0, path).bytes()
    )

    def elsewhere(movie):
        movie.video().get(b"mdia", b"minf", b"dinf", b"dref").data = dref

    reference = g.box(b"rdrf", struct.pack(">I", 0), b"url ", struct.pack(">I", len(url)), url)
    movie = g.box(b"rmra", g.box(b"rmda", reference))
    return {
        "playlist": b"#EXTM3U\n#EXTINF:360,\n" + url + b"\n" + path + b"\n#EXT-X-ENDLIST\n",
        "concat": b"ffconcat version 1.0\nfile '" + path + b"'\nfile '" + url + b"'\n",
        "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video %d RTP/AVP 96\n" % port,
        "dash": b"<?xml version='1.0'?><MPD><BaseURL>" + url + b"</BaseURL></MPD>",
        "dref": g.edit(mp4(), elsewhere),
        "rmra": g.box(b"ftyp", b"qt  \0\0\0\0").bytes() + g.box(b"moov", movie).bytes(),
        "playlist-behind-ftyp": g.box(b"ftyp", b"isom\0\0\0\0").bytes() + b"#EXTM3U\n" + url,
    }  # fmt: skip


CALLS = "trace=open,openat,openat2,creat,socket,connect,execve,unlink,rename"


def test_nothing_is_opened_because_of_a_file(listener, tmp_path):
    """Through the command line, as it is used, and with every call to the system looked at."""
    canary, trace = tmp_path / "canary", tmp_path / "trace"
    canary.write_text("secret")
    files = {f"{name}.mp4": data for name, data in disguises(listener.port, canary).items()}
    files |= {f"playlist.{ending}": files["playlist.mp4"] for ending in ("jpg", "pdf", "wav")}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    watched = ["strace", "-f", "-qq", "-e", CALLS, "-o", str(trace)] if shutil.which("strace") else []
    command = [sys.executable, "-m", "orchestrator.cli.main", "media", "check", "--profile", "metastudio", "--json"]
    ended = subprocess.run([*watched, *command, *files], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    verdicts = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [each["file"] for each in verdicts] == list(files)
    assert {each["verdict"] for each in verdicts} == {"reject"}
    assert "probe_limit_exceeded" not in {reason["code"] for each in verdicts for reason in each["reasons"]}
    assert listener.visitors() == 0
    if not watched:
        pytest.skip("strace is not installed: what was opened has not been looked at")
    calls = trace.read_text().splitlines()
    assert not [call for call in calls if "canary" in call or "socket(" in call or "connect(" in call]
    opened = [call for call in calls if any(f'"{name}"' in call for name in files) and "execve(" not in call]
    assert len(opened) == len(files)  # the trace saw what happened


class Failing(Bytes):
    """A store that stops answering after the first ranges."""

    def __init__(self, data, error):
        super().__init__(data)
        self.error = error

    def read_range(self, start, length):
        if len(self.ranges) >= 1:
            raise self.error
        return super().read_range(start, length)


@pytest.mark.parametrize(
    "error", [StorageUnavailable("x"), ObjectMissing("x"), ObjectChanged("x")], ids=lambda e: e.code
)
def test_a_store_that_fails_is_no_verdict(prober, error):
    with pytest.raises(type(error)):
        prober.judge(Failing(sample("landscape.mp4"), error), VIDEO, METASTUDIO)


def test_an_operating_system_error_of_a_source_is_a_storage_failure(prober):
    with pytest.raises(StorageUnavailable):
        prober.judge(Failing(sample("landscape.mp4"), ConnectionResetError()), VIDEO, METASTUDIO)


@pytest.mark.parametrize("limits", [Limits(max_read_bytes=20_000), Limits(max_requests=1)], ids=["bytes", "requests"])
def test_a_file_that_costs_too_much_is_refused_and_not_retried(limits):
    source = Bytes(sample("landscape.mp4"))
    verdict = SandboxedProber(limits).judge(source, VIDEO, METASTUDIO)
    assert [reason.code for reason in verdict.reasons] == ["probe_limit_exceeded"]
    assert source.ranges.count((0, 16384)) == 1


class Slow(Bytes):
    """Takes the parent's whole time for one range: its clock is put forward, so nobody waits."""

    passed_s = 0.0

    def read_range(self, start, length):
        self.passed_s += 40
        return super().read_range(start, length)


def test_a_slow_store_is_no_verdict_on_the_file(monkeypatch):
    source = Slow(sample("landscape.mp4"))
    monkeypatch.setattr(sandbox, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + source.passed_s))
    with pytest.raises(StorageUnavailable, match=r"within 30 s"):
        SandboxedProber(Limits(max_wall_s=30)).judge(source, VIDEO, METASTUDIO)


def test_the_clock_stops_a_check_after_one_second_try(monkeypatch):
    monkeypatch.setattr(sandbox, "_STARVED", 0)
    source = Bytes(sample("landscape.mp4"))
    verdict = SandboxedProber(Limits(max_wall_s=0.001)).judge(source, VIDEO, METASTUDIO)
    assert [reason.code for reason in verdict.reasons] == ["probe_limit_exceeded"]
    assert "0.001 s" in verdict.reasons[0].message


def test_a_child_that_dies_is_tried_twice_and_then_the_file_refused(monkeypatch):
    monkeypatch.setattr(sandbox, "CHILD", "orchestrator.adapters.media.nowhere")
    verdict = SandboxedProber().judge(Bytes(mp4()), VIDEO, METASTUDIO)
    assert [reason.code for reason in verdict.reasons] == ["probe_limit_exceeded"]


class Shot(Bytes):
    """Whose readers are ended by a signal while they wait for it, so many times."""

    def __init__(self, data, number, times):
        super().__init__(data)
        self._number = number
        self.left = times

    def read_range(self, start, length):
        if self.left:
            self.left -= 1
            (reader,) = [p for p in psutil.Process().children() if sandbox.CHILD in p.cmdline()]
            reader.send_signal(self._number)
            wait_until(lambda: reader.status() == psutil.STATUS_ZOMBIE, 20)
        return super().read_range(start, length)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_check_that_is_killed_from_outside_says_nothing_of_the_file(prober, number):
    film = sample("landscape.mp4")
    assert prober.judge(Shot(film, number, times=1), VIDEO, METASTUDIO) == prober.judge(Bytes(film), VIDEO, METASTUDIO)
    with pytest.raises(CheckBrokenOff):
        prober.judge(Shot(film, number, times=2), VIDEO, METASTUDIO)


def test_a_reader_that_a_film_breaks_is_the_films_fault(prober):
    verdict = prober.judge(Shot(sample("landscape.mp4"), signal.SIGSEGV, times=2), VIDEO, METASTUDIO)
    assert [reason.code for reason in verdict.reasons] == ["probe_limit_exceeded"]


def test_a_check_that_hardly_got_the_processor_says_nothing_of_the_file(monkeypatch):
    monkeypatch.setattr(sandbox, "_STARVED", 1_000_000)
    with pytest.raises(CheckBrokenOff):
        SandboxedProber(Limits(max_wall_s=0.001)).judge(Bytes(sample("landscape.mp4")), VIDEO, METASTUDIO)


def test_a_brand_with_a_nul_is_one_that_every_database_can_hold(prober):
    film = bytearray(mp4())
    at = film.index(b"ftyp") + 4
    film[at : at + 4] = b"is\0m"
    verdict = prober.judge(Bytes(bytes(film)), VIDEO, METASTUDIO)
    assert verdict.facts.brand == "is\N{REPLACEMENT CHARACTER}m"


def test_several_threads_judge_at_once(prober):
    names = ["landscape.mp4", "recorder.webm", "too_short.mp4", "playlist.mp4"] * 2
    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(lambda name: prober.judge(Bytes(sample(name)), VIDEO, RULES["ims_opaque"]), names))
    assert [verdict.accepted for verdict in verdicts] == [True, True, False, False] * 2


def test_a_check_reads_a_part_of_a_big_file_and_is_quick(prober):
    source = Bytes(webm(900, fps=25))
    begin = time.monotonic()
    verdict = prober.judge(source, VIDEO, RULES["ims_opaque"])
    assert verdict.accepted
    assert time.monotonic() - begin < 10  # generous: the machine is shared
    assert verdict.facts.read_bytes == sum(length for _, length in source.ranges)
