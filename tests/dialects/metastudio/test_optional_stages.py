"""Every station that a profile may switch on: what the vendor's SDK sees of it, and the admins' verbs that move it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from orchestrator.app.app import App
from orchestrator.dialects.metastudio.words import LOG_NAMES, STATE_NAMES
from orchestrator.domain.actors import Role
from orchestrator.domain.commands import Effect
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.stages import ARRANGE, STAGE_BY_NAME, Stage
from orchestrator.domain.states import JobState
from orchestrator.settings.profiles import SHIPPED
from tests import web
from tests.dialects.conftest import LiveClock, profiles
from tests.dialects.metastudio.conftest import Api
from tests.dialects.metastudio.test_jobs import command, show, submitted
from tests.fakes.app import World, a_world

Put = Callable[..., int]
# Left within the transaction that enters them, so nobody ever sees a job there.
INSTANT: Final = {
    JobState.MANUAL_VERIFY_SUCCESS, JobState.VIDEO_ANALYZE_SUCCESS, JobState.BEAUTY_FACE_SUCCESS,
    JobState.BEAUTY_VIDEO_FILE_UPLOADED, JobState.ACTION_GENERATE_ORI_SUCCESS, JobState.TEST_VIDEO_CHECK_SUCCESS,
}  # fmt: skip
# Other lives: refused material, and the last word of named accounts; other tests see them.
ELSEWHERE: Final = {
    JobState.AUTO_VERIFY_FAILED, JobState.MANUAL_VERIFY_FAILED, JobState.WAIT_USER_CONFIRM, JobState.JOB_REJECT,
    JobState.JOB_PENDING, JobState.JOB_FINISH,
}  # fmt: skip


@pytest.fixture
def world(url: str, storage: Any) -> Iterator[World]:
    with a_world(url, profiles=profiles(SHIPPED / "every_stage"), clock=LiveClock()) as world:
        world.storage = storage
        world.app = world.process()
        yield world


class Walk:
    """One job, seen through the SDK, moved by the trainer and by admins through the native API."""

    def __init__(self, api: Api, client: Any, put: Put) -> None:
        self.api, self.client, self.put = api, client, put
        self.world = api.world
        self.world.slots = 0
        self.idle: App = self.world.process()  # writes outcomes, and has no slot for what comes next
        token = api.key("people", Role.ADMIN).token
        self.native = web.client(base_url=f"{api.url}/api/v1", headers={"Authorization": f"Bearer {token}"})
        self.seen: list[JobState] = [JobState.WAIT_FILE_UPLOAD]
        self.job_id: str = submitted(client, put).job_id

    def see(self, state: JobState) -> None:
        assert show(self.client, self.job_id).state == STATE_NAMES[state]
        self.seen.append(state)

    def ask(self, verb: str, status: int = 200, **words: object) -> str:
        answer = self.native.post(f"/jobs/{self.job_id}/commands/{verb}", json=words)
        assert answer.status_code == status, (verb, answer.text)
        return answer.text

    def put_in(self, kind: str, name: str) -> None:
        opened = self.native.post(f"/jobs/{self.job_id}/files", json={"kind": kind, "name": name}).json()
        assert self.put(opened["urls"][0]["url"], kind.encode()) == 200
        assert self.native.post(f"/files/{opened['file']['id']}/complete").status_code == 200

    def put_in_and_say(self, verb: str, kind: str, name: str) -> None:
        """Said without the file it is refused."""
        assert "upload it first" in self.ask(verb, 409)
        self.put_in(kind, name)
        self.ask(verb)

    def start(self, stage: Stage) -> None:
        self.see(stage.waiting)
        self.world.app.engine.drain(Effect.DISPATCH)
        self.see(stage.running)

    def end(self, failure: FailureClass | None = None) -> None:
        run = self.world.run_of(self.world.app.jobs.show(self.world.owner, self.job_id).job)
        self.world.succeed(run) if failure is None else self.world.fail(run, failure)
        self.world.clock.advance(20)
        self.idle.runs.observe()

    def fails(
        self, stage: Stage, *, seen_as: JobState | None = None, failure: FailureClass = FailureClass.DATA
    ) -> None:
        self.start(stage)
        self.end(failure)
        self.see(seen_as or stage.failed)

    def is_stopped(self, stage: Stage) -> None:
        self.start(stage)
        self.ask("stop", comment="enough")
        self.see(stage.stopped)
        self.idle.runs.observe()

    def succeeds(self, stage: Stage) -> None:
        self.start(stage)
        self.end()

    def whole(self, name: str) -> None:
        """It fails, is run again, is stopped, is run again, and succeeds."""
        stage = STAGE_BY_NAME[name]
        self.fails(stage)
        self.ask(stage.redo, reasons=["again"])
        self.is_stopped(stage)
        self.ask(stage.redo)
        self.succeeds(stage)


def checked(walk: Walk) -> None:
    client = walk.client
    walk.see(JobState.AUTO_VERIFYING)
    walk.idle.engine.drain(Effect.VERIFY)
    analyze = STAGE_BY_NAME["video_analyze"]
    walk.fails(analyze)
    assert command(client, walk.job_id, "SUBMITVERIFYING").commond_result == "EXCUTE_SUCCESS"
    walk.idle.engine.drain(Effect.VERIFY)
    walk.succeeds(analyze)
    walk.see(JobState.MANUAL_VERIFYING)
    walk.ask("approve")
    walk.see(JobState.WAIT_MASK_UPLOAD)
    assert show(client, walk.job_id).is_mask_file_uploaded is False
    walk.put_in_and_say("upload_mask", "mask", "mask.png")
    assert show(client, walk.job_id).is_mask_file_uploaded is True


def learned(walk: Walk) -> None:
    beauty = STAGE_BY_NAME["beauty"]
    walk.fails(beauty)
    walk.ask(beauty.redo)
    walk.is_stopped(beauty)
    walk.ask("beautify_by_hand")
    walk.see(JobState.WAIT_BEAUTY_VIDEO_FILE_UPLOAD)
    walk.put_in_and_say("upload_beauty_video", "beauty_video", "better.mp4")
    for name in ("training_preprocess", "training", "inference_preprocess"):
        walk.whole(name)
    walk.see(JobState.WAIT_MAIN_FILE_UPLOAD)
    walk.idle.engine.drain(Effect.STORE_MODEL)


def finished(walk: Walk) -> None:
    mark = STAGE_BY_NAME["action_mark"]
    walk.whole("action_mark")
    walk.see(JobState.ACTION_MARK_SUCCESS)
    walk.ask(mark.redo)
    walk.is_stopped(mark)
    walk.put_in_and_say("upload_action_mark", "action_mark", "marks.json")
    walk.see(JobState.ACTION_MARK_UPLOADED)
    url = show(walk.client, walk.job_id).action_mark_file_download_url
    assert web.get(url).content == b"action_mark"
    walk.ask("confirm_action_mark")
    walk.whole("action_data")
    walk.see(JobState.WAIT_ADMIN_CALIBRATION)
    walk.ask("confirm_action")
    walk.fails(ARRANGE, seen_as=JobState.GENERATE_ACTION_PREPROCESS_FAILED)
    walk.ask(ARRANGE.redo)
    walk.fails(ARRANGE, failure=FailureClass.CANCELLED)
    walk.ask(ARRANGE.redo)
    walk.is_stopped(ARRANGE)
    walk.ask(ARRANGE.redo)
    walk.succeeds(ARRANGE)
    walk.whole("compile")
    walk.whole("test_video")


def accepted(walk: Walk) -> None:
    walk.see(JobState.WAIT_ASSET_SYNC)
    walk.idle.engine.drain(Effect.PUBLISH)
    walk.see(JobState.WAIT_ADMIN_CONFIRM)
    walk.ask("restart_test_video_check")
    walk.fails(STAGE_BY_NAME["test_video"])
    walk.ask("skip_test_video")
    walk.see(JobState.WAIT_ASSET_SYNC)
    walk.idle.engine.drain(Effect.PUBLISH)
    walk.see(JobState.WAIT_ADMIN_CONFIRM)
    walk.ask("accept")
    walk.see(JobState.JOB_SUCCESS)


def test_every_station_is_seen_and_moved_through_public_doors(api: Api, client: Any, put: Put) -> None:
    walk = Walk(api, client, put)
    with walk.native:
        checked(walk)
        learned(walk)
        finished(walk)
        accepted(walk)
    assert set(JobState) - set(walk.seen) == INSTANT | ELSEWHERE
    shown = show(client, walk.job_id)
    words = [line.log_type for line in shown.operation_logs]
    stages = [LOG_NAMES[kind] for stage in STAGE_BY_NAME.values() for kind in (
        *stage.entered, *stage.started, *stage.succeeded, stage.failure, stage.stop)]  # fmt: skip
    by_hand = {"ADMIN_MASK_UPLOADED", "ADMIN_UPDATE_VIDEO", "ADMIN_UPLOAD_JSON_DATA", "CONFIRM_ACTION_MARK",
               "ADMIN_CONFIRM_ACTION", "SKIP_TEST_VIDEO_CHECK", "ADMIN_ACCEPT"}  # fmt: skip
    assert by_hand.union(stages) <= set(words)
    assert words[-2:] == ["ADMIN_ACCEPT", "SYSTEM_JOB_SUCCESS"]
    again = next(line for line in shown.operation_logs if line.log_type == "REDO_TRAINING")
    assert (again.redo_reasons, again.operate_user) == (["again"], "ADMIN")
