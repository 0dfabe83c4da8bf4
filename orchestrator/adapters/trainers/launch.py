"""Become the stage command, tied to the runner: when the runner dies, however, the kernel kills the command.

Run as a script with `-I -S`, so it costs a few milliseconds: launch.py RUNNER_PID COMMAND...
It imports nothing of this project. A preexec_fn would do the same, but not safely in a process with threads.
"""

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
COMMAND_NOT_FOUND = 127  # as shells say it
KILL_ME_FIRST = "500"  # out of memory: the kernel takes the command before its runner, which then can tell


def main() -> None:
    runner_pid, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        with contextlib.suppress(OSError):  # a sandbox may forbid it; then the kernel chooses
            Path("/proc/self/oom_score_adj").write_text(KILL_ME_FIRST, encoding="ascii")
    if os.getppid() != runner_pid:  # it died before we were tied to it
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        os.execvp(command[0], command)  # noqa: S606  (the command is the configured stage command)
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]!r}: {error.strerror}\n")
        sys.exit(COMMAND_NOT_FOUND)


if __name__ == "__main__":
    main()
