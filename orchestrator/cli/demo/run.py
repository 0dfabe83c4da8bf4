"""Starts everything, tells the story beside it, ends everything."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from orchestrator.cli import dev
from orchestrator.cli.client import Api
from orchestrator.cli.connection import Connection
from orchestrator.cli.demo.story import Story
from orchestrator.cli.demo.telling import Teller
from orchestrator.cli.demo.video import BAD_S, HALF_HD, make_video
from orchestrator.cli.failures import CliError, Exit
from orchestrator.embedded.kept import free_port
from orchestrator.embedded.supervisor import Event, EventKind, Supervisor

SDK: Final = "huaweicloudsdkmetastudio"


def run(data_dir: Path, port: int | None) -> None:
    """The whole demo on `data_dir`.

    Raises:
        CliError: something is not as promised, or cannot be started.
    """
    # The SDK and rclone leave files in the home directory, and the SDK takes a proxy even for this machine.
    os.environ |= {"HOME": str(data_dir.resolve()), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    teller = Teller()
    teller.chapter("Starting everything on this machine")
    data_dir.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(1, "video") as maker:
        # encoding needs no Python, so it does not hold up the start
        good = maker.submit(make_video, data_dir / "good.mp4")
        bad = maker.submit(make_video, data_dir / "bad.mp4", size=HALF_HD, duration_s=BAD_S, seed=2)
        installation = dev.prepare(dev.Wishes(data_dir=data_dir, port=port or free_port()))
        teller.say(", ".join(f"{name}: {what}" for name, what in installation.parts.items()))
        narrator = _Narrator(installation, good, bad, teller)
        dev.serve(installation, on_event=lambda event: _tell(teller, event), on_ready=narrator.begin)
    narrator.end()
    teller.chapter("Done")
    teller.say(f"{teller.kept} promises checked, all held; everything is stopped. Next: understudy dev")


class _Narrator:
    """Tells the story in a thread: the main one belongs to the supervisor and to signals."""

    def __init__(self, installation: dev.Installation, good: Future[Path], bad: Future[Path], teller: Teller) -> None:
        self._installation = installation
        self._videos = good, bad
        self._teller = teller
        self._finished = False
        self._failure: Exception | None = None

    def begin(self, supervisor: Supervisor) -> None:
        # a daemon: after Ctrl-C nobody waits for a story that has lost its API
        threading.Thread(target=self._tell, args=(supervisor,), name="story", daemon=True).start()

    def _tell(self, supervisor: Supervisor) -> None:
        facts, (good, bad) = self._installation.facts, self._videos
        try:
            with self._as(facts["user_token"]) as user, self._as(facts["reviewer_token"]) as reviewer:
                results = self._installation.data_dir / "results"
                Story(user, reviewer, results, good.result, self._teller).tell()
                if find_spec(SDK) is None:
                    self._teller.chapter("The second job is left out")
                    self._teller.say(f"it goes through {SDK}, which is not installed: pip install 'understudy[demo]'")
                else:
                    from orchestrator.cli.demo.vendor import VendorStory

                    VendorStory(facts, reviewer, good.result, bad.result, self._teller).tell()
            self._finished = True
        except Exception as exc:  # noqa: BLE001  raised again in the main thread, by `end`
            self._failure = exc
        finally:
            supervisor.request_stop()

    def _as(self, token: object) -> Api:
        return Api(Connection(self._installation.endpoint, str(token)))

    def end(self) -> None:
        """Raises what went wrong."""
        if self._failure is not None:
            raise self._failure
        if not self._finished:
            raise CliError("the demo was stopped before its end", Exit.INTERRUPTED)


def _tell(teller: Teller, event: Event) -> None:
    if event.kind is EventKind.READY:
        teller.say(f"{event.child} is ready after {event.details.get('took_s')} s")
    elif event.kind is EventKind.DIED:
        teller.say(f"{event.child} died with code {event.details.get('exit_code')}; it is started again")
