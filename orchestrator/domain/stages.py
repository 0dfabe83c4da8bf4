"""Machine work after intake, as data: one row per stage, in the order in which a job meets them.

Every stage has one shape: waiting, running, done, failed, stopped by hand, redo. The rows of the transition table for
stages are generated from here; a profile says which of them run. Adding a stage is adding a row.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from orchestrator.domain.commands import Command
from orchestrator.domain.log_types import LogType as L
from orchestrator.domain.states import JobState as S


class Stage(NamedTuple):
    """States and words of one stage.

    Attributes:
        waiting: where the job waits for a slot. May equal `running` where the vocabulary has no waiting word.
        done: where success leads; None where success leads straight to the next station.
        stopped: where a stop by hand leads; some stages have no word of their own and use `failed`.
        entered: log types written when the job reaches `waiting` on its way.
        redo: the admin's command that runs it again, and its log type.
    """

    name: str
    waiting: S
    running: S
    done: S | None
    failed: S
    stopped: S
    started: tuple[L, ...]
    succeeded: tuple[L, ...]
    failure: L
    stop: L
    redo: Command
    redo_log: L
    entered: tuple[L, ...] = ()


VIDEO_ANALYZE: Final = Stage(
    "video_analyze", S.VIDEO_ANALYZE_PROCESSING, S.VIDEO_ANALYZE_PROCESSING, S.VIDEO_ANALYZE_SUCCESS,
    S.VIDEO_ANALYZE_FAILED, S.VIDEO_ANALYZE_FAILED,
    (L.VIDEO_ANALYZE_PROCESSING,), (L.VIDEO_ANALYZE_SUCCESS,), L.VIDEO_ANALYZE_FAILED, L.VIDEO_ANALYZE_FAILED,
    Command.REDO_VIDEO_ANALYZE, L.VIDEO_ANALYZE_PROCESSING,
)  # fmt: skip

BEAUTY: Final = Stage(
    "beauty", S.WAIT_BEAUTY, S.BEAUTY_FACE_PROCESSING, S.BEAUTY_FACE_SUCCESS,
    S.BEAUTY_FACE_FAILED, S.MANUAL_STOP_BEAUTY_PREPROCESS,
    (L.SYSTEM_BEAUTY_PREPROCESSING,), (L.SYSTEM_BEAUTY_PREPROCESS_SUCCESS,), L.SYSTEM_BEAUTY_PREPROCESS_FAILED,
    L.ADMIN_STOP_BEAUTY_PREPROCESS, Command.REDO_BEAUTY, L.SYSTEM_EXECUTE_BEAUTY,
    entered=(L.SYSTEM_EXECUTE_BEAUTY,),
)  # fmt: skip

TRAINING_PREPROCESS: Final = Stage(
    "training_preprocess", S.WAIT_TRAINING_DATA_PREPROCESS, S.TRAINING_DATA_PREPROCESSING,
    S.TRAINING_DATA_PREPROCESS_SUCCESS, S.TRAINING_DATA_PREPROCESS_FAILED, S.MANUAL_STOP_TRAINING_DATA_PREPROCESS,
    (L.SYSTEM_TRAIN_DATA_PREPROCESSING,), (L.SYSTEM_TRAIN_DATA_PREPROCESS_SUCCESS,),
    L.SYSTEM_TRAIN_DATA_PREPROCESS_FAILED, L.ADMIN_STOP_TRAINING_DATA_PREPROCESS,
    Command.REDO_TRAINING_PREPROCESSING, L.REDO_TRAINING_PREPROCESSING,
)  # fmt: skip

TRAINING: Final = Stage(
    "training", S.TRAINING_DATA_PREPROCESS_SUCCESS, S.TRAINING, S.TRAIN_SUCCESS, S.TRAIN_FAILED, S.MANUAL_STOP_TRAIN,
    (L.SYSTEM_TRAINING,), (L.SYSTEM_TRAIN_SUCCESS,), L.SYSTEM_TRAIN_FAILED, L.ADMIN_STOP_TRAIN,
    Command.REDO_TRAINING, L.REDO_TRAINING,
)  # fmt: skip

INFERENCE_PREPROCESS: Final = Stage(
    "inference_preprocess", S.TRAIN_SUCCESS, S.INFERENCE_DATA_PREPROCESSING, None,
    S.INFERENCE_DATA_PREPROCESS_FAILED, S.MANUAL_STOP_INFERENCE_DATA_PREPROCESS,
    (L.SYSTEM_INFERENCE_DATA_PREPROCESSING,), (L.SYSTEM_INFERENCE_DATA_PREPROCESS_SUCCESS,),
    L.SYSTEM_INFERENCE_DATA_PREPROCESS_FAILED, L.ADMIN_STOP_INFERENCE_DATA_PREPROCESS,
    Command.REDO_INFERENCE_PREPROCESSING, L.REDO_INFERENCE_PREPROCESSING,
)  # fmt: skip

ACTION_MARK: Final = Stage(
    "action_mark", S.WAIT_GENERATE_ACTION_MARK, S.ACTION_MARKING, S.ACTION_MARK_SUCCESS,
    S.ACTION_MARK_FAILED, S.MANUAL_STOP_ACTION_MARK,
    (L.SYSTEM_ACTION_MARK_PREPROCESSING,), (L.SYSTEM_ACTION_MARK_PREPROCESS_SUCCESS,),
    L.SYSTEM_ACTION_MARK_PREPROCESS_FAILED, L.MANUAL_STOP_ACTION_MARK, Command.REDO_ACTION_MARK, L.REDO_ACTION_MARK,
)  # fmt: skip

ACTION_DATA: Final = Stage(
    "action_data", S.WAIT_GENERATE_ACTION, S.ACTION_GENERATE_DATA_PROCESSING, S.WAIT_ADMIN_CALIBRATION,
    S.ACTION_GENERATE_DATA_FAILED, S.MANUAL_STOP_ACTION_GENERATE_DATA_PROCESSING,
    (L.SYSTEM_ACTION_GENERATE_DATA_PREPROCESSING,), (L.SYSTEM_ACTION_GENERATE_DATA_SUCCESS,),
    L.SYSTEM_ACTION_GENERATE_DATA_FAILED, L.ADMIN_STOP_ACTION_GENERATE_DATA_PREPROCESS,
    Command.REDO_ACTION_DATA_GENERATE, L.REDO_ACTION_DATA_GENERATE,
)  # fmt: skip

ARRANGE: Final = Stage(
    "arrange", S.WAIT_ARRANGE, S.ACTION_GENERATE_ORI_PROCESSING, S.ACTION_GENERATE_ORI_SUCCESS,
    S.ACTION_GENERATE_ORI_FAILED, S.MANUAL_STOP_ACTION_GENERATE_ORI_PROCESSING,
    (L.SYSTEM_ACTION_GENERATE_ORI_PREPROCESSING,), (L.SYSTEM_ACTION_GENERATE_ORI_SUCCESS,),
    L.SYSTEM_ACTION_GENERATE_ORI_FAILED, L.ADMIN_STOP_ACTION_GENERATE_ORI_PREPROCESS,
    Command.REDO_ACTION_ORI_GENERATE, L.REDO_ACTION_ORI_GENERATE,
)  # fmt: skip

COMPILE: Final = Stage(
    "compile", S.WAIT_COMPILE, S.COMPILING, None, S.COMPILE_FAILED, S.COMPILE_FAILED,
    (L.SYSTEM_EXECUTE_COMPILE, L.COMPILE_JOB_IS_CONSUME), (L.SYSTEM_COMPILE_SUCCESS,),
    L.SYSTEM_COMPILE_FAILED, L.STOP_COMPILE, Command.REDO_COMPILE, L.ADMIN_UPDATE_COMPILE,
)  # fmt: skip

TEST_VIDEO: Final = Stage(
    "test_video", S.WAIT_TEST_VIDEO_CHECK, S.TEST_VIDEO_CHECK_PROCESSING, S.TEST_VIDEO_CHECK_SUCCESS,
    S.TEST_VIDEO_CHECK_FAILED, S.TEST_VIDEO_CHECK_FAILED,
    (L.MAKE_TEST_VIDEO, L.TEST_VIDEO_CHECK_PROCESSING), (L.TEST_VIDEO_CHECK_SUCCESS,),
    L.TEST_VIDEO_CHECK_FAILED, L.TEST_VIDEO_CHECK_FAILED,
    Command.RESTART_TEST_VIDEO_CHECK, L.RESTART_TEST_VIDEO_CHECK, entered=(L.WAIT_TEST_VIDEO_CHECK,),
)  # fmt: skip

# In three groups, because something else stands between them: the review, and the storing of the model.
BEFORE_REVIEW: Final = (VIDEO_ANALYZE,)
LEARNING: Final = (BEAUTY, TRAINING_PREPROCESS, TRAINING, INFERENCE_PREPROCESS)
FINISHING: Final = (ACTION_MARK, ACTION_DATA, ARRANGE, COMPILE, TEST_VIDEO)
STAGES: Final = (*BEFORE_REVIEW, *LEARNING, *FINISHING)
STAGE_BY_NAME: Final = {stage.name: stage for stage in STAGES}
STAGE_OF_RUNNING: Final = {stage.running: stage for stage in STAGES}
STAGE_OF_WAITING: Final = {stage.waiting: stage for stage in STAGES}
STAGE_OF_FAILED: Final = {stage.failed: stage for stage in STAGES}
