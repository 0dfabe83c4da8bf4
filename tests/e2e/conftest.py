"""A whole installation for the session, as `understudy dev` starts it, and the command line as people use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import psutil
import pytest

from orchestrator.cli import main
from orchestrator.cli.demo.video import BAD_S, HALF_HD, make_video
from orchestrator.embedded import strays
from orchestrator.embedded.kept import free_port
from tests.e2e.logs import leaks_in
from tests.servers.base import guardian

UNDERSTUDY = (sys.executable, "-m", "orchestrator.cli.main")
START_S = 60.0


def environment() -> dict[str, str]:
    """Ours, without anything that would point the command line elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}


def poll(what: str, holds: Callable[[], object], timeout_s: float = 30.0) -> object:
    """The first true answer of `holds`; fails with `what` when none comes in time."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := holds()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        time.sleep(0.05)
    return found


class Dev:
    """One `understudy dev`, started and stopped as often as a test likes, on one data directory."""

    def __init__(self, data_dir: Path, *options: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        return (self.data_dir.parent / "dev.out").read_text()

    def start(self) -> Dev:
        with (self.data_dir.parent / "dev.out").open("ab") as out:
            self._process = subprocess.Popen(
                [*UNDERSTUDY, "dev", "--data-dir", self.data_dir, "--port", str(self.port), *self._options],
                env=environment(), cwd=self.data_dir.parent, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        if recorded := strays.Recorded.of(self._watch_name, self._process.pid):
            guardian().watch(recorded)
        poll("dev.json is written", lambda: (self.data_dir / "dev.json").exists() or self._ended(), START_S)
        assert self._process.poll() is None, self.said
        return self

    @property
    def _watch_name(self) -> str:
        return f"dev-{self.port}"

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def facts(self) -> dict:
        return json.loads((self.data_dir / "dev.json").read_text())

    def signal(self, number: signal.Signals) -> int:
        """Send it and give the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        code = self._process.wait(60)
        guardian().forget(self._watch_name)
        return code

    def processes(self) -> list[psutil.Process]:
        """Everything that runs on the data directory, whoever started it."""
        recorded = [entry.running() for entry in strays.Record(self.data_dir / "children.json").read()]
        return [*strays.marked(str(self.data_dir.resolve())), *(process for process in recorded if process)]

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.signal(signal.SIGTERM)


class Cli:
    """The command line. What starts no process of its own runs in this one, which is ten times faster."""

    IN_PROCESS = frozenset({"audit", "db", "job", "key", "media", "project", "review", "store", "sweep"})

    def __init__(self, data_dir: Path, where: Path) -> None:
        self._dev = data_dir
        self.where = where

    def __call__(self, *arguments: object, exit_code: int = 0, dev: bool = True) -> str:
        """Standard output of a command that has to end with `exit_code`."""
        return self.run(*arguments, exit_code=exit_code, dev=dev).stdout

    def run(self, *arguments: object, exit_code: int = 0, dev: bool = True) -> subprocess.CompletedProcess[str]:
        told = ["--dev", str(self._dev)] if dev else []
        words = [*map(str, arguments), *told]
        ended = self._here(words) if words[0] in self.IN_PROCESS else self._apart(words)
        assert ended.returncode == exit_code, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    def _here(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
            code = main.run(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    def _apart(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*UNDERSTUDY, *words],
            env=environment(), cwd=self.where, capture_output=True, text=True, timeout=200, check=False,
        )  # fmt: skip

    def json(self, *arguments: object, exit_code: int = 0) -> dict:
        """The one document that a command prints with --json."""
        return json.loads(self(*arguments, "--json", exit_code=exit_code))

    def lines(self, *arguments: object, exit_code: int = 0) -> list[dict]:
        return [json.loads(line) for line in self(*arguments, "--json", exit_code=exit_code).splitlines()]


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that all tests may use and none may stop or break."""
    running = Dev(tmp_path_factory.mktemp("dev") / "data")
    try:
        yield running.start()
    finally:
        running.close()
    assert leaks_in(running.data_dir) == [], "of all that ran there in this session"


@pytest.fixture
def own_dev(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    """For tests that stop or break one: call it for a `Dev` that is not started yet."""
    made: list[Dev] = []

    def make(*options: str) -> Dev:
        made.append(Dev(tmp_path / "data", *options))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert not (each.data_dir / "kept.json").exists() or leaks_in(each.data_dir) == []


@pytest.fixture
def cli(dev: Dev, tmp_path: Path) -> Cli:
    return Cli(dev.data_dir, tmp_path)


@pytest.fixture(scope="session")
def good_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "good.mp4")


@pytest.fixture(scope="session")
def bad_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "bad.mp4", size=HALF_HD, duration_s=BAD_S)
