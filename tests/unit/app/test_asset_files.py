"""Files of assets: of two who do opposite things at once one wins, and what is shown has its bytes."""

from __future__ import annotations

import pytest

from orchestrator.app.uploads import Upload
from orchestrator.domain.assets import MAIN, Asset, AssetFileState
from orchestrator.domain.errors import CommandNotAllowed, Refused
from orchestrator.domain.model import Job, Run
from orchestrator.domain.states import JobState
from orchestrator.ports.trainer import Artefact
from tests.fakes.app import World, a_profile


def an_upload(world: World) -> tuple[Asset, Upload]:
    """A picture whose main file is sent, and not confirmed."""
    asset = world.app.library.create(world.owner, "IMAGE", "mine", attributes={})
    upload = world.app.asset_files.open(world.owner, asset.id, MAIN, "f.png", size_bytes=None)
    world.put(upload, b"a picture")
    return asset, upload


def state_of(world: World, asset: Asset) -> AssetFileState:
    _, (file,) = world.app.library.show(world.owner, asset.id)
    return file.state


@pytest.mark.parametrize("cancelled", [True, False])
def test_a_file_that_is_given_up_while_it_is_looked_at_does_not_come_back(world: World, *, cancelled: bool) -> None:
    asset, upload = an_upload(world)
    file_id = upload.file.id

    def given_up() -> None:
        world.app.asset_files.fail(world.owner, file_id, cancelled=cancelled)

    world.prober.before = given_up
    with pytest.raises(CommandNotAllowed, match="it would have to be"):
        world.app.asset_files.confirm(world.owner, file_id)
    assert state_of(world, asset) is (AssetFileState.CANCELLED if cancelled else AssetFileState.FAILED)
    world.sweep("delete_files", after=60)
    assert list(world.storage.list("files/")) == []


def test_a_file_that_is_confirmed_is_not_given_up_any_more(world: World) -> None:
    asset, upload = an_upload(world)
    confirmed = world.app.asset_files.confirm(world.owner, upload.file.id)
    with pytest.raises(Refused):
        world.app.asset_files.fail(world.owner, upload.file.id, cancelled=True)
    assert state_of(world, asset) is AssetFileState.CREATED
    assert world.storage.head(confirmed.key) is not None


def test_of_two_who_confirm_both_are_told_the_same(world: World) -> None:
    asset, upload = an_upload(world)
    told = []

    def by_another_tab() -> None:
        world.prober.before = lambda: None
        told.append(world.app.asset_files.confirm(world.owner, upload.file.id))

    world.prober.before = by_another_tab
    told.append(world.app.asset_files.confirm(world.owner, upload.file.id))
    assert told[0] == told[1]
    assert state_of(world, asset) is AssetFileState.CREATED


def the_same_again(world: World, run: Run) -> None:
    """A trainer that makes the same bytes of the same material."""
    prefix = world.trainer.submitted[str(run.handle)].output_prefix
    info = world.storage.put(f"{prefix}{run.stage}.npz", b"a model", "application/octet-stream")
    made = Artefact(f"{run.stage}.npz", info.key, info.size_bytes, "a" * 64, "application/octet-stream")
    world.say(run, artefacts=(made,))


def trained(world: World, job: Job, until: JobState) -> None:
    for _ in range(60):
        world.tick()
        for run in world.live_runs():
            if run.handle is not None and world.state(job) is not until:
                the_same_again(world, run)
        if world.state(job) is until:
            return
        world.clock.advance(20)
    raise AssertionError(f"the job is {world.state(job)}")


def test_what_a_retraining_makes_again_is_kept_when_the_former_one_is_taken_out(world: World) -> None:
    """The same bytes lie at the same key: whoever takes out the former file must not take the new one's."""
    world.profiles["compiled"] = a_profile("compiled", "training", "compile")  # type: ignore[index]  # a dict
    job = world.waiting("compiled")
    trained(world, job, JobState.JOB_SUCCESS)
    world.app.jobs.retrain(world.admin, job.id, "training")
    trained(world, job, JobState.COMPILING)
    asset_id = str(world.job(job).asset_id)
    _, files = world.app.library.show(world.owner, asset_id)
    for file in files:
        world.app.asset_files.delete(world.owner, file.id)
    trained(world, job, JobState.JOB_SUCCESS)

    _, files = world.app.library.show(world.owner, asset_id)
    assert files
    assert [file.name for file in files if world.storage.head(file.key) is None] == []
