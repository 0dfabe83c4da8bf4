"""What a reader of a stranger's file can do once it is confined: each limit met by an attempt to go past it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.adapters.media import confine, sandbox
from orchestrator.adapters.media.prober import SandboxedProber
from orchestrator.domain.media import MediaKind
from tests.media_samples import METASTUDIO, Bytes, sample
from tests.workers import wait_until

NOBODY = 65534
PROBES = (335, 336)  # no filter sees them: the kernel's own, and they kill whoever calls them
X32 = 0x40000000  # a second set of numbers for the same calls, on x86_64
SETUP = "import os, sys, ctypes, mmap, select\nfrom orchestrator.adapters.media import confine\n"
# Some of what the attempts below come to, so that a gap in the numbers is seen.
WANTED = {"openat2": 437, "io_uring_setup": 425, "clone3": 435, "pidfd_open": 434}  # the same on every machine

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="seccomp is of Linux")


def run(code: str, **how: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", SETUP + code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **how)  # type: ignore[call-overload]  # by name


EVERY_CALL = """
libc = ctypes.CDLL(None, use_errno=True)
left_out = {left_out!r}
mode = confine.confine()
passed = []
if mode == "seccomp":
    for number in [*range(1024), *range({x32}, {x32} + 1024)]:
        if number in left_out:
            continue
        ctypes.set_errno(0)
        if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1:
            passed.append(number)
os.write(1, repr((mode, passed)).encode())
os._exit(0)
"""


def test_every_call_to_the_system_that_is_not_listed_is_refused() -> None:
    """Files, sockets of any family, children, threads, memory files, io_uring, tracing, signals to others: all."""
    _, allowed = confine._SYSCALLS[os.uname().machine]
    assert not set(WANTED.values()) & set(allowed)
    left_out = [*allowed, *(PROBES if os.uname().machine == "x86_64" else ())]
    done = run(EVERY_CALL.format(left_out=left_out, x32=X32))
    assert done.returncode == 0, done.stderr
    mode, passed = eval(done.stdout)  # noqa: S307  our own words
    if mode != "seccomp":
        pytest.skip(f"this machine allows no system call filter ({mode})")
    assert passed == []


LIMITED = """
import signal, threading
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
file = os.open({path!r}, os.O_WRONLY)
if os.getuid() == 0:
    os.setgid({nobody}); os.setuid({nobody})  # root may have as many processes as it likes
confine.limit(256 << 20, 20)
{attempt}
os.write(1, b"done")
os._exit(0)
"""


@pytest.mark.parametrize(
    ("attempt", "refused"),
    [
        ("bytearray(1 << 30)", "MemoryError"),
        ("mmap.mmap(-1, 1 << 30)", "Cannot allocate memory"),
        ("for _ in range(100): os.open('/dev/null', os.O_RDONLY)", "Too many open files"),
        ("for _ in range(100): os.dup(1)", "Too many open files"),
        ("for _ in range(100): os.pipe()", "Too many open files"),
        ("os.fork()", "Resource temporarily unavailable"),
        ("threading.Thread(target=print).start()", "can't start new thread"),
        ("os.ftruncate(file, 1 << 20)", "File too large"),
        ("os.write(file, b'x')", "File too large"),
        ("os.ftruncate(os.memfd_create('x'), 1 << 20)", "File too large"),
    ],
)
def test_limits_hold_where_there_is_no_filter(attempt: str, refused: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    done = run(LIMITED.format(nobody=NOBODY, attempt=attempt, path=str(path)))
    assert done.stdout != "done"
    assert refused in done.stderr
    assert path.stat().st_size == 0


def test_whoever_computes_too_long_is_ended_by_a_signal_of_its_own() -> None:
    assert run("confine.limit(512 << 20, 1)\nwhile True: pass").returncode == -signal.SIGXCPU


ORPHAN = "confine.confine(); os.write(1, b'%d' % os.getpid()); select.poll().poll()"
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', sys.argv[1]])"


def test_a_reader_that_waits_for_nothing_does_not_outlive_its_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, SETUP + ORPHAN], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = psutil.Process(int(os.read(parent.stdout.fileno(), 20)))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, 20)


class Watched(Bytes):
    """Looks at its reader when it asks for the first bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.seen: dict[str, object] = {}

    def read_range(self, start: int, length: int) -> bytes:
        if not self.seen:
            (reader,) = [p for p in psutil.Process().children() if sandbox.CHILD in p.cmdline()]
            place = Path(f"/proc/{reader.pid}")
            status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines())
            self.seen = {
                "holds": sorted(str(each.readlink()).split(":")[0].replace(str(reader.pid), "self")
                                for each in (place / "fd").iterdir()),
                "filter": status["Seccomp"], "privileges": status["NoNewPrivs"], "threads": status["Threads"],
                "environment": reader.environ(), "children": reader.children(),
                **{name: reader.rlimit(getattr(psutil, name))[1] for name in
                   ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_NPROC")},
            }  # fmt: skip
        return super().read_range(start, length)


@pytest.mark.parametrize(("name", "kind"), [("landscape.mp4", MediaKind.VIDEO), ("square.jpg", MediaKind.IMAGE)])
def test_a_reader_at_work_holds_its_channel_and_nothing_else(name: str, kind: MediaKind) -> None:
    source = Watched(sample(name))
    SandboxedProber().judge(source, kind, METASTUDIO)
    seen = source.seen
    if seen.pop("filter") != "2":
        pytest.skip("this machine allows no system call filter")
    assert seen == {
        "holds": [*["/dev/null"] * 3, "/proc/self/status", "socket"],
        "privileges": "1", "threads": "1", "environment": {"HOME": "/"}, "children": [],
        "RLIMIT_AS": 512 << 20, "RLIMIT_CPU": 21, "RLIMIT_FSIZE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 8,
        "RLIMIT_NPROC": 0,
    }  # fmt: skip
