"""The 61 states of a job, one row each: coarse phase, who must act next, how long they may take, meaning.

The vocabulary is MetaStudio's, in lower case and with its spelling mistakes mended (they live on in the dialect).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from orchestrator.domain.actors import Actor


class Phase(StrEnum):
    """Five coarse words; the other dialect's states and a simple view for people come from here."""

    INIT = "init"
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class JobState(StrEnum):
    WAIT_FILE_UPLOAD = "wait_file_upload"
    AUTO_VERIFYING = "auto_verifying"
    MANUAL_VERIFYING = "manual_verifying"
    AUTO_VERIFY_FAILED = "auto_verify_failed"
    MANUAL_VERIFY_FAILED = "manual_verify_failed"
    MANUAL_VERIFY_SUCCESS = "manual_verify_success"
    WAIT_TRAINING_DATA_PREPROCESS = "wait_training_data_preprocess"
    TRAINING_DATA_PREPROCESSING = "training_data_preprocessing"
    TRAINING_DATA_PREPROCESS_FAILED = "training_data_preprocess_failed"
    TRAINING_DATA_PREPROCESS_SUCCESS = "training_data_preprocess_success"
    TRAINING = "training"
    TRAIN_FAILED = "train_failed"
    TRAIN_SUCCESS = "train_success"
    INFERENCE_DATA_PREPROCESSING = "inference_data_preprocessing"
    INFERENCE_DATA_PREPROCESS_FAILED = "inference_data_preprocess_failed"
    WAIT_MAIN_FILE_UPLOAD = "wait_main_file_upload"
    MANUAL_STOP_INFERENCE_DATA_PREPROCESS = "manual_stop_inference_data_preprocess"
    MANUAL_STOP_TRAIN = "manual_stop_train"
    MANUAL_STOP_TRAINING_DATA_PREPROCESS = "manual_stop_training_data_preprocess"
    WAIT_ADMIN_CONFIRM = "wait_admin_confirm"
    WAIT_COMPILE = "wait_compile"
    COMPILING = "compiling"
    COMPILE_FAILED = "compile_failed"
    WAIT_GENERATE_ACTION = "wait_generate_action"
    WAIT_ARRANGE = "wait_arrange"
    ACTION_GENERATE_DATA_PROCESSING = "action_generate_data_processing"
    MANUAL_STOP_ACTION_GENERATE_DATA_PROCESSING = "manual_stop_action_generate_data_processing"
    MANUAL_STOP_ACTION_GENERATE_ORI_PROCESSING = "manual_stop_action_generate_ori_processing"
    ACTION_GENERATE_ORI_PROCESSING = "action_generate_ori_processing"
    ACTION_GENERATE_DATA_FAILED = "action_generate_data_failed"
    ACTION_GENERATE_ORI_FAILED = "action_generate_ori_failed"
    ACTION_GENERATE_ORI_SUCCESS = "action_generate_ori_success"
    GENERATE_ACTION_PREPROCESS_FAILED = "generate_action_preprocess_failed"
    WAIT_ADMIN_CALIBRATION = "wait_admin_calibration"
    WAIT_ASSET_SYNC = "wait_asset_sync"
    WAIT_GENERATE_ACTION_MARK = "wait_generate_action_mark"
    ACTION_MARKING = "action_marking"
    WAIT_USER_CONFIRM = "wait_user_confirm"
    JOB_REJECT = "job_reject"
    JOB_SUCCESS = "job_success"
    JOB_FINISH = "job_finish"
    JOB_PENDING = "job_pending"
    WAIT_TEST_VIDEO_CHECK = "wait_test_video_check"
    TEST_VIDEO_CHECK_PROCESSING = "test_video_check_processing"
    TEST_VIDEO_CHECK_SUCCESS = "test_video_check_success"
    TEST_VIDEO_CHECK_FAILED = "test_video_check_failed"
    VIDEO_ANALYZE_PROCESSING = "video_analyze_processing"
    VIDEO_ANALYZE_SUCCESS = "video_analyze_success"
    VIDEO_ANALYZE_FAILED = "video_analyze_failed"
    ACTION_MARK_SUCCESS = "action_mark_success"
    ACTION_MARK_FAILED = "action_mark_failed"
    ACTION_MARK_UPLOADED = "action_mark_uploaded"
    MANUAL_STOP_ACTION_MARK = "manual_stop_action_mark"
    WAIT_MASK_UPLOAD = "wait_mask_upload"
    WAIT_BEAUTY = "wait_beauty"
    BEAUTY_FACE_PROCESSING = "beauty_face_processing"
    BEAUTY_FACE_SUCCESS = "beauty_face_success"
    BEAUTY_FACE_FAILED = "beauty_face_failed"
    WAIT_BEAUTY_VIDEO_FILE_UPLOAD = "wait_beauty_video_file_upload"
    BEAUTY_VIDEO_FILE_UPLOADED = "beauty_video_file_uploaded"
    MANUAL_STOP_BEAUTY_PREPROCESS = "manual_stop_beauty_preprocess"


class StateInfo(NamedTuple):
    """One row. `owner` is None only where nobody has to act any more; then `deadline` is None too.

    A deadline that passes is acted on by the overdue sweep: running stages are timed out, abandoned drafts are
    discarded, states that wait for people are flagged. States in which a step or a slot is due hold that effect in
    place of the deadline: they are tried until it is done, and how late the oldest is shows in the metrics.
    """

    phase: Phase
    owner: Actor | None
    deadline: timedelta | None
    meaning: str


_S = JobState
_USER, _ADMIN, _SYSTEM = Actor.USER, Actor.ADMIN, Actor.SYSTEM

_DRAFT = timedelta(days=30)  # an abandoned draft is discarded
_PERSON = timedelta(days=3)  # a person is reminded by a flag, nothing else happens
_QUEUE = timedelta(days=7)  # waiting for a slot, how long one may expect; no capacity is not a fault
_STEP = timedelta(hours=1)  # a step of the control plane itself, how long one may expect
_RUN = timedelta(hours=72)  # a backstop above the run's own time limit
_INSTANT = timedelta(minutes=10)  # left within the transaction that enters it

STATES: Final[Mapping[JobState, StateInfo]] = {
    _S.WAIT_FILE_UPLOAD: StateInfo(Phase.INIT, _USER, _DRAFT, "files not all uploaded and submitted yet"),
    _S.AUTO_VERIFYING: StateInfo(Phase.QUEUED, _SYSTEM, _STEP, "the files are checked by machine"),
    _S.MANUAL_VERIFYING: StateInfo(Phase.QUEUED, _ADMIN, _PERSON, "a reviewer has to decide"),
    _S.AUTO_VERIFY_FAILED: StateInfo(Phase.FAILED, _USER, _DRAFT, "refused by machine; replace files and submit again"),
    _S.MANUAL_VERIFY_FAILED: StateInfo(Phase.FAILED, _USER, _DRAFT, "refused by a reviewer; mend and submit again"),
    _S.MANUAL_VERIFY_SUCCESS: StateInfo(Phase.QUEUED, _SYSTEM, _INSTANT, "review passed"),
    _S.WAIT_TRAINING_DATA_PREPROCESS: StateInfo(Phase.QUEUED, _SYSTEM, _QUEUE, "waits for training-data preprocessing"),
    _S.TRAINING_DATA_PREPROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "training data are being preprocessed"),
    _S.TRAINING_DATA_PREPROCESS_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "training-data preprocessing failed"),
    _S.TRAINING_DATA_PREPROCESS_SUCCESS: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "data ready, waits for training"),
    _S.TRAINING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "a trainer works on it"),
    _S.TRAIN_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "training failed"),
    _S.TRAIN_SUCCESS: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "trained, waits for inference preprocessing"),
    _S.INFERENCE_DATA_PREPROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "inference data are being preprocessed"),
    _S.INFERENCE_DATA_PREPROCESS_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "inference preprocessing failed"),
    _S.WAIT_MAIN_FILE_UPLOAD: StateInfo(Phase.RUNNING, _SYSTEM, _STEP, "the model file is being stored"),
    _S.MANUAL_STOP_INFERENCE_DATA_PREPROCESS: StateInfo(
        Phase.FAILED, _ADMIN, _PERSON, "inference preprocessing stopped by hand"
    ),
    _S.MANUAL_STOP_TRAIN: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "training stopped by hand"),
    _S.MANUAL_STOP_TRAINING_DATA_PREPROCESS: StateInfo(
        Phase.FAILED, _ADMIN, _PERSON, "training-data preprocessing stopped by hand"
    ),
    _S.WAIT_ADMIN_CONFIRM: StateInfo(Phase.RUNNING, _ADMIN, _PERSON, "an admin has to look at the result"),
    _S.WAIT_COMPILE: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for model compilation"),
    _S.COMPILING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "the model is being compiled"),
    _S.COMPILE_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "model compilation failed or was stopped"),
    _S.WAIT_GENERATE_ACTION: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for atomic-action generation"),
    _S.WAIT_ARRANGE: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for choreography"),
    _S.ACTION_GENERATE_DATA_PROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "atomic actions are being generated"),
    _S.MANUAL_STOP_ACTION_GENERATE_DATA_PROCESSING: StateInfo(
        Phase.FAILED, _ADMIN, _PERSON, "action generation stopped by hand"
    ),
    _S.MANUAL_STOP_ACTION_GENERATE_ORI_PROCESSING: StateInfo(
        Phase.FAILED, _ADMIN, _PERSON, "choreography stopped by hand"
    ),
    _S.ACTION_GENERATE_ORI_PROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "choreography is being made"),
    _S.ACTION_GENERATE_DATA_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "atomic-action generation failed"),
    _S.ACTION_GENERATE_ORI_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "making the choreography failed"),
    _S.ACTION_GENERATE_ORI_SUCCESS: StateInfo(Phase.RUNNING, _SYSTEM, _INSTANT, "choreography made"),
    _S.GENERATE_ACTION_PREPROCESS_FAILED: StateInfo(
        Phase.FAILED, _ADMIN, _PERSON, "the actions that choreography needs cannot be used"
    ),
    _S.WAIT_ADMIN_CALIBRATION: StateInfo(Phase.RUNNING, _ADMIN, _PERSON, "an admin has to confirm the action data"),
    _S.WAIT_ASSET_SYNC: StateInfo(Phase.RUNNING, _SYSTEM, _STEP, "the asset is being published"),
    _S.WAIT_GENERATE_ACTION_MARK: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for action marking"),
    _S.ACTION_MARKING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "actions are being marked"),
    _S.WAIT_USER_CONFIRM: StateInfo(Phase.RUNNING, _USER, _PERSON, "the user has to accept the result"),
    _S.JOB_REJECT: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "the user rejected the result"),
    _S.JOB_SUCCESS: StateInfo(Phase.SUCCEEDED, None, None, "the model is published"),
    _S.JOB_FINISH: StateInfo(Phase.SUCCEEDED, None, None, "the user accepted the result; final"),
    _S.JOB_PENDING: StateInfo(Phase.QUEUED, _USER, _DRAFT, "suspended by the user"),
    _S.WAIT_TEST_VIDEO_CHECK: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for the test-video check"),
    _S.TEST_VIDEO_CHECK_PROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "a test video is made and checked"),
    _S.TEST_VIDEO_CHECK_SUCCESS: StateInfo(Phase.RUNNING, _SYSTEM, _INSTANT, "the test video is good"),
    _S.TEST_VIDEO_CHECK_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "the test video is not good"),
    _S.VIDEO_ANALYZE_PROCESSING: StateInfo(Phase.QUEUED, _SYSTEM, _RUN, "the video is being inspected"),
    _S.VIDEO_ANALYZE_SUCCESS: StateInfo(Phase.QUEUED, _SYSTEM, _INSTANT, "the video passed inspection"),
    _S.VIDEO_ANALYZE_FAILED: StateInfo(Phase.FAILED, _USER, _DRAFT, "the video did not pass inspection"),
    _S.ACTION_MARK_SUCCESS: StateInfo(Phase.RUNNING, _ADMIN, _PERSON, "actions marked, an admin has to confirm them"),
    _S.ACTION_MARK_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "action marking failed"),
    _S.ACTION_MARK_UPLOADED: StateInfo(Phase.RUNNING, _ADMIN, _PERSON, "marks put in by hand, to be confirmed"),
    _S.MANUAL_STOP_ACTION_MARK: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "action marking stopped by hand"),
    _S.WAIT_MASK_UPLOAD: StateInfo(Phase.QUEUED, _ADMIN, _PERSON, "an admin has to put in a mask file"),
    _S.WAIT_BEAUTY: StateInfo(Phase.QUEUED, _SYSTEM, _QUEUE, "waits for face retouching"),
    _S.BEAUTY_FACE_PROCESSING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "faces are being retouched"),
    _S.BEAUTY_FACE_SUCCESS: StateInfo(Phase.RUNNING, _SYSTEM, _INSTANT, "faces retouched"),
    _S.BEAUTY_FACE_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "face retouching failed"),
    _S.WAIT_BEAUTY_VIDEO_FILE_UPLOAD: StateInfo(
        Phase.QUEUED, _ADMIN, _PERSON, "an admin has to put in the retouched video"
    ),
    _S.BEAUTY_VIDEO_FILE_UPLOADED: StateInfo(Phase.QUEUED, _SYSTEM, _INSTANT, "the retouched video is in"),
    _S.MANUAL_STOP_BEAUTY_PREPROCESS: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "retouching stopped by hand"),
}

TERMINAL: Final = frozenset(state for state, info in STATES.items() if info.owner is None)
