"""One directory a run: where its files are, who holds its locks, how its JSON is replaced.

RUNS/<key>/
    submit.lock    held while somebody decides whether to start the run
    runner.lock    held by the runner as long as it lives: the kernel drops it, however the runner ends
    runner.json    who the runner is: pid and the identity of that process
    trainer.json   the same of the stage command, so that it can be stopped when its runner cannot
    spec.json      0600, what to run, with the signed URLs; gone once the run has ended
    run.json       the same without secrets, for the stage command
    status.json    what the runner last said; replaced, never edited
    stop.json      somebody wants the run to end
    log.txt        what the stage command printed
    runner.log     0600, what the runner itself had to complain about
    inputs/ outputs/ checkpoint -> RUNS/checkpoints/<checkpoint key>
RUNS/slots/        lock files: slot-0 .., gpu-<id>, one per checkpoint
RUNS/checkpoints/  kept between the attempts of a stage
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast
from urllib.parse import quote

from orchestrator.domain.errors import Invalid

SLOTS: Final = "slots"
CHECKPOINTS: Final = "checkpoints"
_ASK_EVERY_S: Final = 0.005
_PATIENCE_S: Final = 2.0  # the blocks that hold these locks take milliseconds
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@=-]{0,199}")


@dataclass(frozen=True, slots=True)
class RunDir:
    """Names within one run's directory."""

    path: Path

    @classmethod
    def of(cls, runs_dir: Path, key: str) -> RunDir:
        """The directory of a key. Raises Invalid for a key that cannot be the name of a directory."""
        if not _KEY.fullmatch(key) or key in {SLOTS, CHECKPOINTS}:
            raise Invalid(f"run key {key[:200]!r} cannot name a directory; 1 to 200 of A-Za-z0-9._:@=- can", key=key)
        return cls(runs_dir / key)

    @property
    def submit_lock(self) -> Path:
        return self.path / "submit.lock"

    @property
    def runner_lock(self) -> Path:
        return self.path / "runner.lock"

    @property
    def runner(self) -> Path:
        return self.path / "runner.json"

    @property
    def trainer(self) -> Path:
        return self.path / "trainer.json"

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def run(self) -> Path:
        return self.path / "run.json"

    @property
    def status(self) -> Path:
        return self.path / "status.json"

    @property
    def stop(self) -> Path:
        return self.path / "stop.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    @property
    def runner_log(self) -> Path:
        return self.path / "runner.log"

    @property
    def inputs(self) -> Path:
        return self.path / "inputs"

    @property
    def outputs(self) -> Path:
        return self.path / "outputs"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    def is_alive(self) -> bool:
        """Whether the runner lives: the kernel's word, which neither zombies nor reused pids can mislead."""
        return is_held(self.runner_lock)


def run_dirs(runs_dir: Path) -> Iterator[RunDir]:
    """Every run below `runs_dir`, by name."""
    if not runs_dir.is_dir():
        return
    for path in sorted(runs_dir.iterdir()):
        if _KEY.fullmatch(path.name) and path.name not in {SLOTS, CHECKPOINTS} and path.is_dir():
            yield RunDir(path)


def checkpoint_dir(runs_dir: Path, checkpoint_key: str) -> Path:
    """Where all attempts of a stage keep their checkpoint. Any text is a key."""
    return runs_dir / CHECKPOINTS / ("=" + quote(checkpoint_key, safe=""))


def checkpoint_lock(runs_dir: Path, checkpoint: Path) -> Path:
    """The lock of a checkpoint: one attempt at a time uses it."""
    return runs_dir / SLOTS / f"checkpoint{checkpoint.name}"


def write_json(path: Path, value: Mapping[str, object], *, durable: bool = False) -> None:
    """Replace a file by JSON at once, mode 0600; readers see the old or the new, never a part.

    Args:
        durable: also survive a power cut.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(value, file)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, object] | None:
    """The object in the file, None when there is no file or no JSON object in it."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock exclusively. Asking disturbs nobody: askers share."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def take(path: Path, *, patience_s: float = 0) -> int | None:
    """Hold the lock exclusively; gives its descriptor, None when it is taken and stays so for `patience_s`.

    A lock lives as long as any process has the descriptor: hand it on, or close it.
    """
    deadline_s = time.monotonic() + patience_s
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, path):
                return descriptor
            os.close(descriptor)  # housekeeping removed the file while we came: it locks nothing any more
        except BlockingIOError:
            os.close(descriptor)
            if time.monotonic() >= deadline_s:
                return None
            time.sleep(_ASK_EVERY_S)
        except BaseException:
            os.close(descriptor)
            raise


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def holding(path: Path) -> Iterator[int]:
    """Hold the lock for a short block of code. Raises TimeoutError when its holder hangs."""
    descriptor = take(path, patience_s=_PATIENCE_S)
    if descriptor is None:
        raise TimeoutError(errno.ETIMEDOUT, f"{path.name} is held for more than {_PATIENCE_S:g} s")
    try:
        yield descriptor
    finally:
        os.close(descriptor)
