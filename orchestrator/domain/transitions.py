"""The life of a job: every legal move is a row here, and nothing moves that has no row.

A row reads: in `source`, `command` by `actor` leads to `target`, leaves these log lines, if `guard` allows, and makes
`effect` due. `target=None` stays where it is and leaves the schedule alone. Of several rows for one question the first
whose guard allows is taken, so the unguarded one stands last. Basis: MetaStudio's documented life of a job; the order
of the optional stages is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from orchestrator.domain import guards as g
from orchestrator.domain.actors import Actor
from orchestrator.domain.commands import Command as C
from orchestrator.domain.commands import Effect as E
from orchestrator.domain.log_types import LogType as L
from orchestrator.domain.model import FileKind
from orchestrator.domain.stages import (
    ACTION_DATA,
    ACTION_MARK,
    ARRANGE,
    BEFORE_REVIEW,
    FINISHING,
    INFERENCE_PREPROCESS,
    LEARNING,
    STAGES,
    TEST_VIDEO,
    VIDEO_ANALYZE,
    Stage,
)
from orchestrator.domain.states import STATES, TERMINAL
from orchestrator.domain.states import JobState as S

USER, ADMIN, SYSTEM = Actor.USER, Actor.ADMIN, Actor.SYSTEM


class Transition(NamedTuple):
    source: S | None  # None: the job does not exist yet
    command: C
    target: S | None  # None: it stays where it is
    actor: Actor
    logs: tuple[L, ...] = ()
    guard: g.Guard | None = None
    effect: E | None = None

    @property
    def leads_to(self) -> S:
        target = self.target if self.target is not None else self.source
        assert target is not None  # noqa: S101  a row without source has a target; test_table.py holds it
        return target


class Onward(NamedTuple):
    """One way on from a place between stages."""

    target: S
    guard: g.Guard | None
    effect: E | None
    entered: tuple[L, ...]


def _onward(stages: tuple[Stage, ...], end: Onward) -> tuple[Onward, ...]:
    """To the first of `stages` that the job has, else to the end."""
    return (*(Onward(s.waiting, g.on(s.name), E.DISPATCH, s.entered) for s in stages), end)


_TO_STORE = Onward(S.WAIT_MAIN_FILE_UPLOAD, None, E.STORE_MODEL, ())
_TO_PUBLISH = Onward(S.WAIT_ASSET_SYNC, None, E.PUBLISH, (L.SYSTEM_WAIT_ASSET_SYNC,))
_TO_REVIEW = (
    Onward(S.MANUAL_VERIFYING, g.on("review"), None, ()),
    Onward(S.MANUAL_VERIFY_SUCCESS, None, None, ()),
)
_TO_LEARNING = (Onward(S.WAIT_MASK_UPLOAD, g.on("mask"), None, ()), *_onward(LEARNING, _TO_STORE))

T = Transition


def _ways(source: S, command: C, actor: Actor, logs: tuple[L, ...], ways: tuple[Onward, ...]) -> Iterator[Transition]:
    for way in ways:
        yield T(source, command, way.target, actor, logs + way.entered, way.guard, way.effect)


def _with(guard: g.Guard, ways: tuple[Onward, ...]) -> tuple[Onward, ...]:
    """The same ways, each also asking `guard`."""
    return tuple(way._replace(guard=guard if way.guard is None else g.all_of(guard, way.guard)) for way in ways)


# What an admin confirms by hand after a stage, instead of the job going on by itself.
_CONFIRMED_BY: Final = {ACTION_MARK: (C.CONFIRM_ACTION_MARK, L.CONFIRM_ACTION_MARK),
                        ACTION_DATA: (C.CONFIRM_ACTION, L.ADMIN_CONFIRM_ACTION)}  # fmt: skip


def _leaving(stage: Stage, ways: tuple[Onward, ...]) -> Iterator[Transition]:
    """What success of `stage` leads to."""
    ok = g.current_run
    if stage.done is None:
        yield from _ways(stage.running, C.SUCCEED, SYSTEM, stage.succeeded, _with(ok, ways))
        return
    following = next((s for s in STAGES if s.waiting is stage.done), None)  # its done is the next one's waiting
    if following is not None:
        guard = g.all_of(ok, g.on(following.name))
        yield T(stage.running, C.SUCCEED, stage.done, SYSTEM, stage.succeeded, guard, E.DISPATCH)
        ways = _with(g.off(following.name), tuple(way for way in ways if way.target is not stage.done))
    yield T(stage.running, C.SUCCEED, stage.done, SYSTEM, stage.succeeded, ok)
    if stage in _CONFIRMED_BY:
        command, log = _CONFIRMED_BY[stage]
        yield from _ways(stage.done, command, ADMIN, (log,), ways)
    else:
        yield from _ways(stage.done, C.ADVANCE, SYSTEM, (), ways)


def _stage_rows(stage: Stage) -> Iterator[Transition]:
    yield T(stage.waiting, C.START, stage.running, SYSTEM, stage.started, g.awaiting_dispatch)
    if stage is ARRANGE:  # its input, the atomic actions, can be at fault: a word of its own
        guard = g.all_of(g.current_run, g.data_failure)
        bad_actions = S.GENERATE_ACTION_PREPROCESS_FAILED
        yield T(stage.running, C.FAIL, bad_actions, SYSTEM, (L.SYSTEM_ACTION_GENERATE_DATA_FAILED,), guard)
    yield T(stage.running, C.FAIL, stage.failed, SYSTEM, (stage.failure,), g.current_run)
    yield T(stage.running, C.TIME_OUT, stage.waiting, SYSTEM, (L.TIME_OUT_RETRY,), g.current_run, E.DISPATCH)
    again = g.all_of(g.retry_scheduled, g.on(stage.name))
    yield T(stage.failed, C.RETRY, stage.waiting, SYSTEM, (L.TIME_OUT_RETRY,), again, E.DISPATCH)
    for source in dict.fromkeys((stage.waiting, stage.running)):
        yield T(source, C.STOP, stage.stopped, ADMIN, (stage.stop,))
    yield T(stage.failed, C.STOP, stage.stopped, ADMIN, (stage.stop,), g.retry_scheduled)


def _all_stage_rows() -> Iterator[Transition]:
    for group, end in ((BEFORE_REVIEW, None), (LEARNING, _TO_STORE), (FINISHING, _TO_PUBLISH)):
        for position, stage in enumerate(group):
            yield from _leaving(stage, _TO_REVIEW if end is None else _onward(group[position + 1 :], end))
            yield from _stage_rows(stage)


_REVIEW_FAILED = (S.AUTO_VERIFY_FAILED, S.MANUAL_VERIFY_FAILED, S.VIDEO_ANALYZE_FAILED)
_FAILED_STAGES = tuple(dict.fromkeys(s.failed for s in STAGES if s is not VIDEO_ANALYZE))
_STOPPED_STAGES = tuple(
    dict.fromkeys(s.stopped for s in STAGES if s is not VIDEO_ANALYZE and s.stopped is not s.failed)
)
_BROKEN = (*_FAILED_STAGES, *_STOPPED_STAGES, S.GENERATE_ACTION_PREPROCESS_FAILED)
_REDOABLE = (*_BROKEN, S.JOB_REJECT, S.JOB_SUCCESS, S.WAIT_ADMIN_CONFIRM, S.WAIT_ADMIN_CALIBRATION,
             S.WAIT_USER_CONFIRM, S.ACTION_MARK_SUCCESS, S.ACTION_MARK_UPLOADED)  # fmt: skip
_RESETTABLE = (*_REDOABLE, *(s.waiting for s in STAGES if s is not VIDEO_ANALYZE), S.WAIT_MASK_UPLOAD,
               S.WAIT_BEAUTY_VIDEO_FILE_UPLOAD, S.WAIT_MAIN_FILE_UPLOAD, S.WAIT_ASSET_SYNC)  # fmt: skip
# Exactly the documented eleven; the profile of a simpler life adds what its owner sees as failed.
_DELETABLE = (S.WAIT_FILE_UPLOAD, S.AUTO_VERIFY_FAILED, S.MANUAL_VERIFYING, S.MANUAL_VERIFY_FAILED,
              S.TRAINING_DATA_PREPROCESS_FAILED, S.TRAIN_FAILED, S.INFERENCE_DATA_PREPROCESS_FAILED,
              S.JOB_SUCCESS, S.WAIT_USER_CONFIRM, S.JOB_REJECT, S.JOB_FINISH)  # fmt: skip
_ALSO_DELETABLE = tuple(s for s in (*_BROKEN, S.VIDEO_ANALYZE_FAILED) if s not in _DELETABLE)
_MENDABLE = g.all_of(g.on(g.RESUBMIT), g.no_retry_ahead)
_OPEN = tuple(s for s in S if s not in TERMINAL)
_PEOPLE = tuple(s for s in _OPEN if STATES[s].owner in (USER, ADMIN))

# Settings that reach the trainer; each leaves its own word in the log and moves nothing.
SETTINGS: Final[Mapping[C, L]] = {
    C.SET_BEAUTY_LEVEL: L.ADMIN_UPDATE_BEAUTY_LEVEL,
    C.SET_SILENCE_REPEAT: L.ADMIN_SET_SILENCE_REPEAT_NUM,
    C.SET_INFERENCE_RANGE: L.ADMIN_UPDATE_INFERENCE_DATA_PROCESS_VIDEO,
    C.SET_CHAT_INFERENCE_RANGE: L.ADMIN_UPDATE_INFERENCE_DATA_CHAT_PROCESS_VIDEO,
    C.SET_TRAIN_RANGE: L.ADMIN_UPDATE_TRAIN_TIME,
    C.SET_TRAIN_LOCATION: L.ADMIN_UPDATE_TRAIN_LOCATION,
    C.SET_ACTION_TIMES: L.ADMIN_MASK_ACTION_TIME,
    C.SET_GENERAL: L.ADMIN_UPDATE_GENERAL_CONFIG,
}

TRANSITIONS: Final[tuple[Transition, ...]] = (
    # intake
    T(None, C.CREATE, S.WAIT_FILE_UPLOAD, USER, (L.USER_CREATE_JOB,)),
    *(T(s, C.OPEN_UPLOAD, None, USER) for s in (S.WAIT_FILE_UPLOAD, *_REVIEW_FAILED)),
    *(T(s, C.EDIT, None, USER) for s in (S.WAIT_FILE_UPLOAD, *_REVIEW_FAILED)),
    *(T(s, C.DESCRIBE, None, USER) for s in S),
    *(T(s, C.UPDATE, None, USER) for s in (S.AUTO_VERIFY_FAILED, S.MANUAL_VERIFY_FAILED)),
    *(T(s, C.REPLACE_VIDEO, None, USER, (L.USER_UPDATE_VIDEO,)) for s in (S.WAIT_FILE_UPLOAD, *_REVIEW_FAILED)),
    # the documented log of a first submission tells of no files; later files take the place of others
    *(T(S.WAIT_FILE_UPLOAD, c, None, USER) for c in (C.CONFIRM_VIDEO, C.CONFIRM_COVER)),
    *(T(s, C.CONFIRM_VIDEO, None, USER, (L.SYSTEM_ANALYSE_FILE_INFO,)) for s in _REVIEW_FAILED),
    *(T(s, C.CONFIRM_COVER, None, USER, (L.SYSTEM_UPDATE_COVER,)) for s in _REVIEW_FAILED),
    *(T(s, C.CONFIRM_FILE, None, USER) for s in (S.WAIT_FILE_UPLOAD, *_REVIEW_FAILED)),
    T(S.WAIT_FILE_UPLOAD, C.SUBMIT, S.AUTO_VERIFYING, USER, (L.SYSTEM_MARKABLE_VIDEO, L.USER_VERIFYING_SUBMITTED), g.files_complete, E.VERIFY),
    *(T(s, C.SUBMIT, S.AUTO_VERIFYING, USER, (L.USER_VERIFYING_SUBMITTED,), g.files_complete, E.VERIFY) for s in _REVIEW_FAILED),
    # a simpler life: the owner may mend and resubmit whatever failed for good
    *(T(s, c, None, USER, logs, _MENDABLE) for s in _BROKEN for c, logs in (
        (C.OPEN_UPLOAD, ()), (C.EDIT, ()), (C.CONFIRM_FILE, ()), (C.CONFIRM_COVER, (L.SYSTEM_UPDATE_COVER,)),
        (C.REPLACE_VIDEO, (L.USER_UPDATE_VIDEO,)), (C.CONFIRM_VIDEO, (L.SYSTEM_ANALYSE_FILE_INFO,)))),
    *(T(s, C.SUBMIT, S.AUTO_VERIFYING, USER, (L.USER_VERIFYING_SUBMITTED,), g.all_of(_MENDABLE, g.files_complete), E.VERIFY) for s in _BROKEN),
    T(S.WAIT_FILE_UPLOAD, C.DISCARD, None, SYSTEM),
    # checks by machine, then by people
    T(S.AUTO_VERIFYING, C.AUTO_ACCEPT, S.VIDEO_ANALYZE_PROCESSING, SYSTEM, (L.SYSTEM_VERIFY_SUCCESS, L.SYSTEM_MARKABLE_VIDEO_SUCCESS), g.on(VIDEO_ANALYZE.name), E.DISPATCH),
    *_ways(S.AUTO_VERIFYING, C.AUTO_ACCEPT, SYSTEM, (L.SYSTEM_VERIFY_SUCCESS, L.SYSTEM_MARKABLE_VIDEO_SUCCESS), _TO_REVIEW),
    T(S.AUTO_VERIFYING, C.AUTO_REJECT, S.AUTO_VERIFY_FAILED, SYSTEM, (L.SYSTEM_VERIFY_FAILED,)),
    T(S.MANUAL_VERIFYING, C.APPROVE, S.MANUAL_VERIFY_SUCCESS, ADMIN, (L.ADMIN_VERIFY_SUCCESS,)),
    T(S.MANUAL_VERIFYING, C.REJECT, S.MANUAL_VERIFY_FAILED, ADMIN, (L.ADMIN_VERIFY_FAILED,), g.said_why),
    *_ways(S.MANUAL_VERIFY_SUCCESS, C.ADVANCE, SYSTEM, (), _TO_LEARNING),
    *_ways(S.WAIT_MASK_UPLOAD, C.UPLOAD_MASK, ADMIN, (L.ADMIN_MASK_UPLOADED,), _with(g.holds(FileKind.MASK), _TO_LEARNING[1:])),
    # machine work
    *_all_stage_rows(),
    *(T(s, C.BEAUTIFY_BY_HAND, S.WAIT_BEAUTY_VIDEO_FILE_UPLOAD, ADMIN, (L.ADMIN_UPDATE_VIDEO,), g.approved) for s in (S.BEAUTY_FACE_FAILED, S.MANUAL_STOP_BEAUTY_PREPROCESS)),
    T(S.WAIT_BEAUTY_VIDEO_FILE_UPLOAD, C.UPLOAD_BEAUTY_VIDEO, S.BEAUTY_VIDEO_FILE_UPLOADED, ADMIN, (L.ADMIN_UPDATE_VIDEO,), g.holds(FileKind.BEAUTY_VIDEO)),
    *_ways(S.BEAUTY_VIDEO_FILE_UPLOADED, C.ADVANCE, SYSTEM, (L.SYSTEM_BEAUTY_PREPROCESS_SUCCESS,), _onward(LEARNING[1:], _TO_STORE)),
    *(T(s, C.UPLOAD_ACTION_MARK, S.ACTION_MARK_UPLOADED, ADMIN, (L.ADMIN_UPLOAD_JSON_DATA,), g.all_of(g.approved, g.holds(FileKind.ACTION_MARK))) for s in (S.ACTION_MARK_SUCCESS, S.ACTION_MARK_FAILED, S.MANUAL_STOP_ACTION_MARK)),
    *_ways(S.ACTION_MARK_UPLOADED, C.CONFIRM_ACTION_MARK, ADMIN, (L.CONFIRM_ACTION_MARK,), _onward(FINISHING[1:], _TO_PUBLISH)),
    *(T(s, C.SKIP_TEST_VIDEO, S.WAIT_ASSET_SYNC, ADMIN, (L.SKIP_TEST_VIDEO_CHECK,), g.approved, E.PUBLISH) for s in (TEST_VIDEO.waiting, TEST_VIDEO.failed)),
    # storing and publishing
    *_ways(S.WAIT_MAIN_FILE_UPLOAD, C.MODEL_STORED, SYSTEM, (), _onward(FINISHING, _TO_PUBLISH)),
    T(S.WAIT_MAIN_FILE_UPLOAD, C.FAIL, S.INFERENCE_DATA_PREPROCESS_FAILED, SYSTEM, (L.SYSTEM_INFERENCE_DATA_PREPROCESS_FAILED,)),
    # without the stage that lends its word for failing, what is tried again is the storing itself
    T(S.INFERENCE_DATA_PREPROCESS_FAILED, C.RETRY, S.WAIT_MAIN_FILE_UPLOAD, SYSTEM, (L.TIME_OUT_RETRY,), g.all_of(g.retry_scheduled, g.off(INFERENCE_PREPROCESS.name)), E.STORE_MODEL),
    T(S.WAIT_ASSET_SYNC, C.PUBLISH, S.WAIT_ADMIN_CONFIRM, SYSTEM, guard=g.on("admin_confirm")),
    T(S.WAIT_ASSET_SYNC, C.PUBLISH, S.WAIT_USER_CONFIRM, SYSTEM, guard=g.on("named_account")),
    T(S.WAIT_ASSET_SYNC, C.PUBLISH, S.JOB_SUCCESS, SYSTEM, (L.SYSTEM_JOB_SUCCESS,)),
    T(S.WAIT_ADMIN_CONFIRM, C.ACCEPT, S.WAIT_USER_CONFIRM, ADMIN, (L.ADMIN_ACCEPT,), g.on("named_account")),
    T(S.WAIT_ADMIN_CONFIRM, C.ACCEPT, S.JOB_SUCCESS, ADMIN, (L.ADMIN_ACCEPT, L.SYSTEM_JOB_SUCCESS)),
    # acceptance by named-account users
    T(S.WAIT_USER_CONFIRM, C.ACCEPT_RESULT, S.JOB_FINISH, USER, (L.SYSTEM_JOB_SUCCESS,)),
    T(S.WAIT_USER_CONFIRM, C.REJECT_RESULT, S.JOB_REJECT, USER, guard=g.said_why),
    T(S.JOB_REJECT, C.ANSWER, None, USER, guard=g.said_why),
    *(T(s, C.SUSPEND, S.JOB_PENDING, USER) for s in (S.WAIT_USER_CONFIRM, S.JOB_REJECT)),
    *(T(S.JOB_PENDING, C.RESUME, s, USER, guard=g.suspended_from(s)) for s in (S.WAIT_USER_CONFIRM, S.JOB_REJECT)),
    # again
    *(T(s, stage.redo, stage.waiting, ADMIN, (stage.redo_log,), g.ready_for(stage), E.DISPATCH) for stage in STAGES if stage is not VIDEO_ANALYZE for s in _REDOABLE),
    # from the checks on: its owner may have put in another video since, which no check has seen
    T(S.VIDEO_ANALYZE_FAILED, C.REDO_VIDEO_ANALYZE, S.AUTO_VERIFYING, ADMIN, (), g.files_complete, E.VERIFY),
    *(T(s, C.RESET, S.WAIT_TRAINING_DATA_PREPROCESS, ADMIN, (L.ADMIN_RESET,), g.all_of(g.approved, g.on("training_preprocess")), E.DISPATCH) for s in dict.fromkeys(_RESETTABLE)),
    *(T(s, C.RESET, S.TRAINING_DATA_PREPROCESS_SUCCESS, ADMIN, (L.ADMIN_RESET,), g.all_of(g.approved, g.on("training")), E.DISPATCH) for s in dict.fromkeys(_RESETTABLE)),
    T(S.JOB_SUCCESS, C.REPAIR, S.WAIT_TRAINING_DATA_PREPROCESS, USER, (L.USER_REPAIR,), g.all_of(g.has_repairs_left, g.approved, g.on("training_preprocess")), E.DISPATCH),
    T(S.JOB_SUCCESS, C.REPAIR, S.TRAINING_DATA_PREPROCESS_SUCCESS, USER, (L.USER_REPAIR,), g.all_of(g.has_repairs_left, g.approved, g.on("training")), E.DISPATCH),
    # settings, ends, reminders
    *(T(s, C.SET_PRIORITY, None, ADMIN, (L.ADMIN_UPDATE_JOB_PRIORITY,)) for s in _OPEN),
    *(T(s, C.SET_RETRY_COUNT, None, ADMIN, (L.ADMIN_SET_FLEXUS_RETRY_COUNT,)) for s in (*_OPEN, S.JOB_SUCCESS)),
    *(T(s, command, None, ADMIN, (log,)) for command, log in SETTINGS.items() for s in _OPEN),
    *(T(s, C.DELETE_VIDEO, None, USER, (L.USER_DELETE_JOB_VIDEO,)) for s in (S.JOB_SUCCESS, S.JOB_FINISH, *_REVIEW_FAILED)),
    *(T(s, C.DELETE, None, USER, guard=g.off("keep_success") if s in TERMINAL else g.no_retry_ahead if s in _BROKEN else None) for s in _DELETABLE),
    *(T(s, C.DELETE, None, USER, guard=_MENDABLE) for s in _ALSO_DELETABLE),
    *(T(s, C.FLAG_OVERDUE, None, SYSTEM) for s in _PEOPLE if s is not S.WAIT_FILE_UPLOAD),
)  # fmt: skip

# Log types that no row writes, each with its reason.
NOT_A_MOVE: Final[Mapping[L, str]] = {
    L.SYSTEM_MARKABLE_VIDEO_FAILED: "the sealed video itself is the markable video, so making one cannot fail",
    **dict.fromkeys(
        (L.SYSTEM_MASK_VERIFY_VIDEO, L.SYSTEM_MASK_VERIFY_VIDEO_SUCCESS, L.SYSTEM_MASK_VERIFY_VIDEO_FAILED),
        "a check video for reviewers is made by no stage of ours; reviewers watch the sealed video",
    ),
    **dict.fromkeys(
        (L.SYSTEM_MASK_VIDEO_AND_ACTION_TIME_SUCCESS, L.SYSTEM_MASK_VIDEO_AND_ACTION_TIME_FAILED),
        "automatic marking is the stage action_mark, which has words of its own",
    ),
    **dict.fromkeys(
        (L.ADMIN_SET_VIDEO_ROTATION_ANGLE, L.ADMIN_RE_SET_VIDEO_ROTATION_ANGLE,
         L.SYSTEM_SET_VIDEO_ROTATION_ANGLE_SUCCESS, L.SYSTEM_SET_VIDEO_ROTATION_ANGLE_FAILED,
         L.ADMIN_RESOLUTION_NORMALIZE, L.SYSTEM_SET_RESOLUTION_NORMALIZE_SUCCESS,
         L.SYSTEM_SET_RESOLUTION_NORMALIZE_FAILED, L.ADMIN_UPDATE_ACTION_VIDEO),
        "the reviewed bytes are the trained bytes: nobody rewrites or swaps a user's video",
    ),
    L.ADMIN_DELETE_JSON_DATA: "action data put in by hand are replaced, never deleted",
    **dict.fromkeys(
        (L.SYSTEM_INFERENCE_DATA_REASSEMBLE_WAITING, L.SYSTEM_INFERENCE_DATA_REASSEMBLE_PROCESSING),
        "a step inside the vendor's platform; storing the model is one move here",
    ),
}  # fmt: skip
