"""Files, runs, assets, comments and lists: one contract for SQLite, PostgreSQL and the store in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain import machine
from orchestrator.domain.assets import Asset, AssetFile, AssetState
from orchestrator.domain.commands import Effect
from orchestrator.domain.errors import NotFound, StaleJob, UploadNotOpen
from orchestrator.domain.model import CommentType, FileKind, FileState, JobId, RunOutcome
from orchestrator.domain.retry import FailureClass
from orchestrator.domain.states import JobState, Phase
from orchestrator.domain.views import JobQuery
from orchestrator.ports.store import Store
from tests.builders import JOB_ID, NOW, a_change, a_file, a_job, a_run, a_sheet
from tests.contract.stores import store

__all__ = ["store"]


SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _with_a_job(store: Store) -> None:
    with store.begin() as tx:
        tx.jobs.add(a_job(), a_sheet(tags=["x"], attributes={"a": [1]}), a_change(details={"why": "so"}))


def test_files_are_moved_by_compare_and_set(store: Store) -> None:
    file = a_file()
    with store.begin() as tx:
        tx.files.add(file, NOW)
        assert tx.files.get(file.id) == replace(file, part_sizes=[5, 3])
        assert tx.files.known_uploads(["upload-1", "upload-2"]) == {"upload-1"}
        assert tx.files.known_keys([file.staging_key, "staging/none"]) == {file.staging_key}
        sealing = tx.files.move(file, FileState.SEALING, due_at=NOW + SECOND)
        assert tx.files.due((FileState.SEALING,), NOW, 5) == []
        assert tx.files.due((FileState.SEALING,), NOW + SECOND, 5) == [sealing]
    with pytest.raises(UploadNotOpen), store.begin() as tx:
        tx.files.move(file, FileState.ABORTING)
    with store.begin() as tx:
        sealed = tx.files.move(sealing, FileState.SEALED, final_key="files/1", etag="e", sealed_at=NOW)
        assert (sealed.version, sealed.state, sealed.sealed_at) == (2, FileState.SEALED, NOW)
        assert tx.files.of_job(JOB_ID, FileState.SEALED) == [sealed]
        assert tx.files.of_jobs([JOB_ID, "other"], FileState.SEALED) == {JOB_ID: [sealed], "other": []}
        assert tx.files.known_uploads(["upload-1"]) == set()
        assert tx.files.known_keys([file.staging_key]) == set(), "what is left there is nobody's"
        with pytest.raises(NotFound):
            tx.files.get(file.id, "project-2")


def test_a_hash_is_pinned_by_who_reads_first(store: Store) -> None:
    with store.begin() as tx:
        tx.files.add(a_file(), None)
        assert tx.files.record_hash("file-1", "a" * 64)
        assert tx.files.record_hash("file-1", "a" * 64)
        assert not tx.files.record_hash("file-1", "b" * 64)
        tx.files.record("file-1", facts={"fps": 25.0})
        assert (tx.files.get("file-1").sha256, tx.files.get("file-1").facts) == ("a" * 64, {"fps": 25.0})


def test_only_sealed_attachments_that_are_free_are_attached(store: Store) -> None:
    with store.begin() as tx:
        for number, state in enumerate((FileState.SEALED, FileState.OPEN)):
            tx.files.add(a_file(FileKind.ATTACHMENT, state, id=f"f{number}", staging_key=f"s{number}"), None)
        tx.files.add(a_file(FileKind.COVER, FileState.SEALED, id="f2", staging_key="s2"), None)
        comment = tx.comments.add(JOB_ID, at=NOW, author="ada", kind=CommentType.USER_COMMENT, title="", text="look")
        assert tx.files.attach(["f0", "f1", "f2"], JOB_ID, comment) == 1
        assert tx.files.attach(["f0"], JOB_ID, comment) == 0
        detail = tx.reads.detail(JOB_ID, None)
    assert [(c.text, [f.id for f in c.attachments]) for c in detail.comments] == [("look", ["f0"])]


def test_runs_are_written_by_compare_and_set(store: Store) -> None:
    run = a_run(outcome=RunOutcome.STARTING)
    with store.begin() as tx:
        tx.runs.add_many([(run, NOW)])
        assert tx.runs.claim(NOW - SECOND, NOW, 5) == []
        assert tx.runs.claim(NOW, NOW + SECOND, 5) == [replace(run, artefacts=[])]
        assert tx.runs.claim(NOW, NOW + SECOND, 5) == []
        assert tx.runs.live("gpu") == {"project-1": 1}
        ended = replace(
            run, outcome=RunOutcome.FAILED, failure=FailureClass.DATA, ended_at=NOW, handle="h", exit_code=3,
            artefacts=[{"name": "a"}], metrics={"loss": 0.5}, progress=0.25,
        )  # fmt: skip
        assert tx.runs.save_many([(ended, None)]) == {run.id}
        assert tx.runs.save_many([(ended, None)]) == set(), "somebody wrote it since"
        assert tx.runs.get(run.id) == replace(ended, version=1)
        assert tx.runs.live("gpu") == {}
        assert tx.runs.ask_to_stop(JOB_ID, NOW) == 0


def test_a_live_run_is_asked_to_stop_once(store: Store) -> None:
    with store.begin() as tx:
        tx.runs.add_many([(a_run(), NOW + SECOND)])
        assert tx.runs.ask_to_stop(JOB_ID, NOW) == 1
        assert tx.runs.ask_to_stop(JOB_ID, NOW) == 0
        assert [run.cancel_at for run in tx.runs.due(NOW, 5)] == [NOW]


def test_the_newest_success_of_each_stage_counts_until_other_material_comes(store: Store) -> None:
    done = [
        a_run(stage, RunOutcome.SUCCEEDED, id=f"r{n}", key=f"k{n}", attempt=n)
        for n, stage in enumerate(("training", "training", "compile"), start=1)
    ]
    with store.begin() as tx:
        failed = a_run("compile", RunOutcome.FAILED, id="r4", key="k4", attempt=4)
        tx.runs.add_many([(run, NOW) for run in (*done, failed)])
        assert {s: r.id for s, r in tx.runs.succeeded([JOB_ID])[JOB_ID].items()} == {"training": "r2", "compile": "r3"}
        tx.runs.supersede(JOB_ID)
        assert tx.runs.succeeded([JOB_ID]) == {JOB_ID: {}}


def test_what_a_failed_run_left_is_tidied_once(store: Store) -> None:
    with store.begin() as tx:
        tx.runs.add_many([(a_run(outcome=RunOutcome.STARTING), NOW)])
        tx.runs.save_many([(replace(tx.runs.get("run-1"), outcome=RunOutcome.FAILED, ended_at=NOW), None)])
        assert tx.runs.ended_before(NOW, 5) == []
        assert [run.id for run in tx.runs.ended_before(NOW + SECOND, 5)] == ["run-1"]
        tx.runs.tidied("run-1")
        assert tx.runs.ended_before(NOW + SECOND, 5) == []


@pytest.fixture
def many(store: Store) -> Store:
    with store.begin() as tx:
        for n in range(30):
            state = JobState.TRAINING if n % 3 else JobState.JOB_SUCCESS
            job = a_job(state, id=JobId(f"n-{n:02}"), project_id="project-2")
            tx.jobs.add(job, a_sheet(name=f"Ada 100%_{n}", batch_name=f"b{n % 2}"), a_change(at=NOW + n * SECOND))
    return store


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    "asked",
    [{}, {"states": (JobState.TRAINING,)}, {"states": tuple(JobState)}, {"phase": Phase.RUNNING},
     {"states": (JobState.TRAINING, JobState.JOB_SUCCESS), "exact": {"batch_name": "b1"}},
     {"exact": {"batch_name": "b1"}}, {"name_contains": "0%_1"},
     {"created_since": NOW + 10 * SECOND, "created_until": NOW + 20 * SECOND}],
)  # fmt: skip
def test_pages_by_key_and_by_offset_are_the_same(many: Store, asked: dict[str, object], *, oldest_first: bool) -> None:
    query = JobQuery("project-2", limit=4, oldest_first=oldest_first, **asked)  # type: ignore[arg-type]  # fields by name
    with many.read() as tx:
        whole = [each.job.id for each in tx.reads.page(replace(query, limit=100))]
        by_key, by_offset, before = list[str](), list[str](), None
        while page := tx.reads.page(replace(query, before=before)):
            by_key += [each.job.id for each in page]
            before = by_key[-1]
            assert tx.reads.count(replace(query, before=before)) == len(whole)
        while page := tx.reads.page(replace(query, offset=len(by_offset))):
            by_offset += [each.job.id for each in page]
    assert whole
    assert by_key == by_offset == whole == sorted(whole, reverse=not oldest_first)


def test_a_failed_job_that_is_tried_again_counts_as_running(many: Store) -> None:
    with many.begin() as tx:
        for name, effect in (("again", Effect.RETRY), ("over", Effect.OVERDUE)):
            job = a_job(JobState.TRAIN_FAILED, id=JobId(name), project_id="project-2", effect=effect, due_at=NOW)
            tx.jobs.add(job, a_sheet(), a_change())
    shown = {}
    for phase in Phase:
        query = JobQuery("project-2", phase=phase, limit=100)
        with many.read() as tx:
            page = tx.reads.page(query)
            assert tx.reads.count(query) == len(page)
        assert {machine.phase_of(each.job) for each in page} <= {phase}
        shown[phase] = {each.job.id for each in page}
    assert "again" in shown[Phase.RUNNING]
    assert shown[Phase.FAILED] == {"over"}
    assert sum(len(ids) for ids in shown.values()) == 32


def test_lists_are_of_one_project_or_of_all(many: Store) -> None:
    with many.read() as tx:
        assert [each.job.id for each in tx.reads.page(JobQuery("project-1"))] == [JOB_ID]
        assert tx.reads.count(JobQuery(None)) == 31
        assert tx.reads.counts("project-1") == {JobState.WAIT_FILE_UPLOAD: 1}
        assert set(tx.reads.oldest_due()) == {"overdue"}


def an_asset(**fields: object) -> Asset:
    return replace(
        Asset("a-1", "project-1", JOB_ID, "HUMAN_MODEL_2D", AssetState.UNACTIVED, "Ada", "", {"p": 1}, NOW, NOW),
        **fields,
    )  # type: ignore[arg-type]  # fields by name


def test_a_job_has_one_asset_with_its_newest_files(store: Store) -> None:
    def files(*names: str) -> list[AssetFile]:
        return [AssetFile(f"{n}-{len(names)}", "MAIN", n, f"models/{n}", "x/y", 5, "0" * 64) for n in names]

    with store.begin() as tx:
        assert tx.assets.publish_many([(an_asset(), files("a", "b"))], NOW) == []
        gone = tx.assets.publish_many([(an_asset(state=AssetState.ACTIVED), files("c"))], NOW + SECOND)
        assert sorted(gone) == ["a-2", "b-2"]
    with store.begin() as tx:
        asset, held = tx.assets.get("a-1")
        assert (asset.state, asset.created_at, asset.updated_at) == (AssetState.ACTIVED, NOW, NOW + SECOND)
        assert [file.name for file in held] == ["c"]
        assert tx.assets.page("project-1", None, 5) == [asset]
        assert tx.assets.page("project-2", None, 5) == tx.assets.page(None, "a-1", 5) == []
        with pytest.raises(NotFound):
            tx.assets.get("a-1", "project-2")
        with pytest.raises(StaleJob):
            tx.assets.set_state("a-1", AssetState.UNACTIVED, AssetState.BLOCK, NOW)
        assert tx.assets.drop_of_job(JOB_ID, NOW) == ["c-1"]
        assert tx.assets.drop_of_job(JOB_ID, NOW) == []
        assert tx.assets.page(None, None, 5) == []
        with pytest.raises(StaleJob):
            tx.library.save(asset, due_at=NOW)  # as it was read before it was dropped
