"""What the child gives up before it reads the first byte of a stranger's file.

Limits for memory, processor time and files everywhere; on Linux a seccomp filter that leaves reading and writing open
descriptors, memory and clocks. Where no filter can be set, an empty network namespace is tried.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
import resource
import signal
import struct
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_CLONE_NEWUSER_NEWNET: Final = 0x10000000 | 0x40000000
_ALLOW: Final = 0x7FFF0000
_KILL: Final = 0x80000000
_EPERM: Final = 0x00050000 | 1
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH = 0, 4
MAX_OPEN_FILES: Final = 8

# read write close fstat newfstatat lseek poll mmap munmap mprotect mremap brk madvise futex rt_sigaction
# rt_sigprocmask rt_sigreturn sigaltstack getpid gettid sendto recvfrom gettimeofday clock_gettime clock_getres
# getrandom sched_yield sched_getaffinity rseq getrusage exit exit_group, in that order; aarch64 has ppoll for poll.
_SYSCALLS: Final = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 262, 8, 7, 9, 11, 10, 25, 12, 28, 202, 13, 14, 15, 131, 39, 186, 44, 45, 96, 228, 229, 318, 24,
         204, 334, 98, 60, 231),
    ),
    "aarch64": (
        0xC00000B7,
        (63, 64, 57, 80, 79, 62, 73, 222, 215, 226, 216, 214, 233, 98, 134, 135, 139, 132, 172, 178, 206, 207, 169,
         113, 114, 278, 124, 123, 293, 165, 93, 94),
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def limit(memory_bytes: int, cpu_s: int) -> None:
    """Resource limits; those the system does not know are left out."""
    for name, soft, hard in (
        ("RLIMIT_AS", memory_bytes, memory_bytes),
        # one second apart: the soft limit ends us by a signal of its own, so that a SIGKILL came from outside
        ("RLIMIT_CPU", cpu_s, cpu_s + 1),
        ("RLIMIT_FSIZE", 0, 0),
        ("RLIMIT_CORE", 0, 0),
        ("RLIMIT_NOFILE", MAX_OPEN_FILES, MAX_OPEN_FILES),
        ("RLIMIT_NPROC", 0, 0),  # no child, no thread; does not hold for root, whom the filter holds
    ):
        if (number := getattr(resource, name, None)) is not None:
            with contextlib.suppress(ValueError, OSError):  # a stricter limit is already in force
                resource.setrlimit(number, (soft, hard))


def confine() -> str:
    """Close the doors; gives which kind of closing worked: "seccomp", "namespace" or "limits"."""
    if not sys.platform.startswith("linux"):
        return "limits"
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = (ctypes.c_int, *(ctypes.c_ulong,) * 4)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # or who waits for nothing would outlive its parent for good
    if platform.machine() in _SYSCALLS and _filter(libc, *_SYSCALLS[platform.machine()]):
        return "seccomp"
    return "namespace" if libc.unshare(_CLONE_NEWUSER_NEWNET) == 0 else "limits"


def _filter(libc: ctypes.CDLL, arch: int, numbers: tuple[int, ...]) -> bool:
    def step(code: int, value: int, *, skip_if: int = 0, skip_else: int = 0) -> bytes:
        return struct.pack("HBBI", code, skip_if, skip_else, value)

    steps = [
        step(_LOAD, _OFFSET_ARCH),
        step(_EQUAL, arch, skip_if=1),
        step(_RETURN, _KILL),
        step(_LOAD, _OFFSET_NUMBER),
    ]
    for number in numbers:
        steps += [step(_EQUAL, number, skip_else=1), step(_RETURN, _ALLOW)]
    steps.append(step(_RETURN, _EPERM))
    code = b"".join(steps)
    program = _Program(len(steps), code)
    address = ctypes.addressof(program)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0) == 0)
