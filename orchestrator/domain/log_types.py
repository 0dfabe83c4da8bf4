"""The 101 kinds of line in the operation log, each with who acts and what it tells.

The vocabulary is MetaStudio's, in lower case and with its spelling mistakes mended (they live on in the dialect).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from orchestrator.domain.actors import Actor


class LogType(StrEnum):
    USER_CREATE_JOB = "user_create_job"
    USER_VERIFYING_SUBMITTED = "user_verifying_submitted"
    SYSTEM_VERIFY_FAILED = "system_verify_failed"
    ADMIN_UPDATE_BEAUTY_LEVEL = "admin_update_beauty_level"
    ADMIN_UPDATE_JOB_PRIORITY = "admin_update_job_priority"
    SYSTEM_VERIFY_SUCCESS = "system_verify_success"
    ADMIN_VERIFY_SUCCESS = "admin_verify_success"
    ADMIN_VERIFY_FAILED = "admin_verify_failed"
    SYSTEM_TRAIN_DATA_PREPROCESSING = "system_train_data_preprocessing"
    SYSTEM_TRAIN_DATA_PREPROCESS_FAILED = "system_train_data_preprocess_failed"
    SYSTEM_TRAIN_DATA_PREPROCESS_SUCCESS = "system_train_data_preprocess_success"
    SYSTEM_ACTION_GENERATE_DATA_PREPROCESSING = "system_action_generate_data_preprocessing"
    SYSTEM_ACTION_GENERATE_DATA_SUCCESS = "system_action_generate_data_success"
    SYSTEM_ACTION_GENERATE_ORI_SUCCESS = "system_action_generate_ori_success"
    SYSTEM_ACTION_GENERATE_DATA_FAILED = "system_action_generate_data_failed"
    SYSTEM_ACTION_GENERATE_ORI_FAILED = "system_action_generate_ori_failed"
    SYSTEM_ACTION_GENERATE_ORI_PREPROCESSING = "system_action_generate_ori_preprocessing"
    SYSTEM_TRAINING = "system_training"
    ADMIN_STOP_TRAINING_DATA_PREPROCESS = "admin_stop_training_data_preprocess"
    ADMIN_STOP_BEAUTY_PREPROCESS = "admin_stop_beauty_preprocess"
    ADMIN_STOP_INFERENCE_DATA_PREPROCESS = "admin_stop_inference_data_preprocess"
    ADMIN_STOP_TRAIN = "admin_stop_train"
    SYSTEM_TRAIN_FAILED = "system_train_failed"
    SYSTEM_TRAIN_SUCCESS = "system_train_success"
    SYSTEM_INFERENCE_DATA_PREPROCESSING = "system_inference_data_preprocessing"
    SYSTEM_INFERENCE_DATA_PREPROCESS_FAILED = "system_inference_data_preprocess_failed"
    SYSTEM_INFERENCE_DATA_PREPROCESS_SUCCESS = "system_inference_data_preprocess_success"
    SYSTEM_JOB_SUCCESS = "system_job_success"
    ADMIN_MASK_UPLOADED = "admin_mask_uploaded"
    ADMIN_UPDATE_VIDEO = "admin_update_video"
    ADMIN_UPDATE_ACTION_VIDEO = "admin_update_action_video"
    ADMIN_RESET = "admin_reset"
    ADMIN_ACCEPT = "admin_accept"
    USER_REPAIR = "user_repair"
    SYSTEM_UPDATE_COVER = "system_update_cover"
    SYSTEM_ANALYSE_FILE_INFO = "system_analyse_file_info"
    ADMIN_SET_SILENCE_REPEAT_NUM = "admin_set_silence_repeat_num"
    SYSTEM_MARKABLE_VIDEO = "system_markable_video"
    SYSTEM_MASK_VERIFY_VIDEO = "system_mask_verify_video"
    SYSTEM_MASK_VERIFY_VIDEO_SUCCESS = "system_mask_verify_video_success"
    SYSTEM_MASK_VERIFY_VIDEO_FAILED = "system_mask_verify_video_failed"
    SYSTEM_MARKABLE_VIDEO_SUCCESS = "system_markable_video_success"
    SYSTEM_BEAUTY_PREPROCESSING = "system_beauty_preprocessing"
    SYSTEM_BEAUTY_PREPROCESS_FAILED = "system_beauty_preprocess_failed"
    ADMIN_CONFIRM_ACTION = "admin_confirm_action"
    ADMIN_STOP_ACTION_GENERATE_DATA_PREPROCESS = "admin_stop_action_generate_data_preprocess"
    ADMIN_STOP_ACTION_GENERATE_ORI_PREPROCESS = "admin_stop_action_generate_ori_preprocess"
    SYSTEM_BEAUTY_PREPROCESS_SUCCESS = "system_beauty_preprocess_success"
    SYSTEM_COMPILE_FAILED = "system_compile_failed"
    SYSTEM_COMPILE_SUCCESS = "system_compile_success"
    SYSTEM_MARKABLE_VIDEO_FAILED = "system_markable_video_failed"
    ADMIN_UPDATE_COMPILE = "admin_update_compile"
    ADMIN_UPDATE_INFERENCE_DATA_PROCESS_VIDEO = "admin_update_inference_data_process_video"
    SYSTEM_EXECUTE_COMPILE = "system_execute_compile"
    SYSTEM_EXECUTE_BEAUTY = "system_execute_beauty"
    SYSTEM_MASK_VIDEO_AND_ACTION_TIME_SUCCESS = "system_mask_video_and_action_time_success"
    SYSTEM_MASK_VIDEO_AND_ACTION_TIME_FAILED = "system_mask_video_and_action_time_failed"
    USER_UPDATE_VIDEO = "user_update_video"
    ADMIN_UPLOAD_JSON_DATA = "admin_upload_json_data"
    ADMIN_DELETE_JSON_DATA = "admin_delete_json_data"
    ADMIN_UPDATE_GENERAL_CONFIG = "admin_update_general_config"
    ADMIN_MASK_ACTION_TIME = "admin_mask_action_time"
    STOP_COMPILE = "stop_compile"
    MAKE_TEST_VIDEO = "make_test_video"
    ADMIN_SET_FLEXUS_RETRY_COUNT = "admin_set_flexus_retry_count"
    USER_DELETE_JOB_VIDEO = "user_delete_job_video"
    ADMIN_SET_VIDEO_ROTATION_ANGLE = "admin_set_video_rotation_angle"
    ADMIN_RE_SET_VIDEO_ROTATION_ANGLE = "admin_re_set_video_rotation_angle"
    SYSTEM_SET_VIDEO_ROTATION_ANGLE_SUCCESS = "system_set_video_rotation_angle_success"
    SYSTEM_SET_VIDEO_ROTATION_ANGLE_FAILED = "system_set_video_rotation_angle_failed"
    COMPILE_JOB_IS_CONSUME = "compile_job_is_consume"
    RESTART_TEST_VIDEO_CHECK = "restart_test_video_check"
    SKIP_TEST_VIDEO_CHECK = "skip_test_video_check"
    WAIT_TEST_VIDEO_CHECK = "wait_test_video_check"
    TEST_VIDEO_CHECK_PROCESSING = "test_video_check_processing"
    TEST_VIDEO_CHECK_SUCCESS = "test_video_check_success"
    TEST_VIDEO_CHECK_FAILED = "test_video_check_failed"
    REDO_INFERENCE_PREPROCESSING = "redo_inference_preprocessing"
    REDO_TRAINING_PREPROCESSING = "redo_training_preprocessing"
    REDO_TRAINING = "redo_training"
    REDO_ACTION_DATA_GENERATE = "redo_action_data_generate"
    REDO_ACTION_ORI_GENERATE = "redo_action_ori_generate"
    VIDEO_ANALYZE_PROCESSING = "video_analyze_processing"
    VIDEO_ANALYZE_SUCCESS = "video_analyze_success"
    VIDEO_ANALYZE_FAILED = "video_analyze_failed"
    ADMIN_RESOLUTION_NORMALIZE = "admin_resolution_normalize"
    SYSTEM_SET_RESOLUTION_NORMALIZE_SUCCESS = "system_set_resolution_normalize_success"
    SYSTEM_SET_RESOLUTION_NORMALIZE_FAILED = "system_set_resolution_normalize_failed"
    SYSTEM_ACTION_MARK_PREPROCESS_FAILED = "system_action_mark_preprocess_failed"
    SYSTEM_ACTION_MARK_PREPROCESSING = "system_action_mark_preprocessing"
    SYSTEM_ACTION_MARK_PREPROCESS_SUCCESS = "system_action_mark_preprocess_success"
    REDO_ACTION_MARK = "redo_action_mark"
    CONFIRM_ACTION_MARK = "confirm_action_mark"
    MANUAL_STOP_ACTION_MARK = "manual_stop_action_mark"
    TIME_OUT_RETRY = "time_out_retry"
    ADMIN_UPDATE_TRAIN_LOCATION = "admin_update_train_location"
    SYSTEM_WAIT_ASSET_SYNC = "system_wait_asset_sync"
    ADMIN_UPDATE_INFERENCE_DATA_CHAT_PROCESS_VIDEO = "admin_update_inference_data_chat_process_video"
    ADMIN_UPDATE_TRAIN_TIME = "admin_update_train_time"
    SYSTEM_INFERENCE_DATA_REASSEMBLE_WAITING = "system_inference_data_reassemble_waiting"
    SYSTEM_INFERENCE_DATA_REASSEMBLE_PROCESSING = "system_inference_data_reassemble_processing"


class LogInfo(NamedTuple):
    operator: Actor
    meaning: str


LOG_TYPES: Final[Mapping[LogType, LogInfo]] = {
    LogType.USER_CREATE_JOB: LogInfo(Actor.USER, "user started the avatar customisation"),
    LogType.USER_VERIFYING_SUBMITTED: LogInfo(Actor.USER, "user submitted for review"),
    LogType.SYSTEM_VERIFY_FAILED: LogInfo(Actor.SYSTEM, "automatic review failed"),
    LogType.ADMIN_UPDATE_BEAUTY_LEVEL: LogInfo(Actor.ADMIN, "admin changed the retouching level"),
    LogType.ADMIN_UPDATE_JOB_PRIORITY: LogInfo(Actor.ADMIN, "admin changed the job priority"),
    LogType.SYSTEM_VERIFY_SUCCESS: LogInfo(Actor.SYSTEM, "automatic review passed"),
    LogType.ADMIN_VERIFY_SUCCESS: LogInfo(Actor.ADMIN, "manual review passed"),
    LogType.ADMIN_VERIFY_FAILED: LogInfo(Actor.ADMIN, "manual review not passed"),
    LogType.SYSTEM_TRAIN_DATA_PREPROCESSING: LogInfo(Actor.SYSTEM, "training-data preprocessing running"),
    LogType.SYSTEM_TRAIN_DATA_PREPROCESS_FAILED: LogInfo(Actor.SYSTEM, "training-data preprocessing failed"),
    LogType.SYSTEM_TRAIN_DATA_PREPROCESS_SUCCESS: LogInfo(Actor.SYSTEM, "training-data preprocessing succeeded"),
    LogType.SYSTEM_ACTION_GENERATE_DATA_PREPROCESSING: LogInfo(Actor.SYSTEM, "atomic actions being generated"),
    LogType.SYSTEM_ACTION_GENERATE_DATA_SUCCESS: LogInfo(Actor.SYSTEM, "atomic actions generated"),
    LogType.SYSTEM_ACTION_GENERATE_ORI_SUCCESS: LogInfo(Actor.SYSTEM, "choreography asset made"),
    LogType.SYSTEM_ACTION_GENERATE_DATA_FAILED: LogInfo(Actor.SYSTEM, "atomic action generation failed"),
    LogType.SYSTEM_ACTION_GENERATE_ORI_FAILED: LogInfo(Actor.SYSTEM, "choreography asset failed"),
    LogType.SYSTEM_ACTION_GENERATE_ORI_PREPROCESSING: LogInfo(Actor.SYSTEM, "choreography asset being made"),
    LogType.SYSTEM_TRAINING: LogInfo(Actor.SYSTEM, "training started"),
    LogType.ADMIN_STOP_TRAINING_DATA_PREPROCESS: LogInfo(Actor.ADMIN, "training (preprocessing) stopped by hand"),
    LogType.ADMIN_STOP_BEAUTY_PREPROCESS: LogInfo(Actor.ADMIN, "retouching stopped by hand"),
    LogType.ADMIN_STOP_INFERENCE_DATA_PREPROCESS: LogInfo(Actor.ADMIN, "inference preprocessing stopped by hand"),
    LogType.ADMIN_STOP_TRAIN: LogInfo(Actor.ADMIN, "training stopped by hand"),
    LogType.SYSTEM_TRAIN_FAILED: LogInfo(Actor.SYSTEM, "training failed"),
    LogType.SYSTEM_TRAIN_SUCCESS: LogInfo(Actor.SYSTEM, "training succeeded"),
    LogType.SYSTEM_INFERENCE_DATA_PREPROCESSING: LogInfo(Actor.SYSTEM, "inference preprocessing running"),
    LogType.SYSTEM_INFERENCE_DATA_PREPROCESS_FAILED: LogInfo(Actor.SYSTEM, "inference preprocessing failed"),
    LogType.SYSTEM_INFERENCE_DATA_PREPROCESS_SUCCESS: LogInfo(Actor.SYSTEM, "inference preprocessing succeeded"),
    LogType.SYSTEM_JOB_SUCCESS: LogInfo(Actor.SYSTEM, "job processing complete"),
    LogType.ADMIN_MASK_UPLOADED: LogInfo(Actor.ADMIN, "mask file uploaded (retired)"),
    LogType.ADMIN_UPDATE_VIDEO: LogInfo(Actor.ADMIN, "admin replaced the video"),
    LogType.ADMIN_UPDATE_ACTION_VIDEO: LogInfo(Actor.ADMIN, "admin replaced the action video"),
    LogType.ADMIN_RESET: LogInfo(Actor.ADMIN, "admin reset the job in one step"),
    LogType.ADMIN_ACCEPT: LogInfo(Actor.ADMIN, "admin accepted"),
    LogType.USER_REPAIR: LogInfo(Actor.USER, "user asked for a repair (retraining)"),
    LogType.SYSTEM_UPDATE_COVER: LogInfo(Actor.SYSTEM, "cover replaced"),
    LogType.SYSTEM_ANALYSE_FILE_INFO: LogInfo(Actor.SYSTEM, "file information parsed"),
    LogType.ADMIN_SET_SILENCE_REPEAT_NUM: LogInfo(Actor.ADMIN, "admin set the number of silent rounds"),
    LogType.SYSTEM_MARKABLE_VIDEO: LogInfo(Actor.SYSTEM, "marking-video task started"),
    LogType.SYSTEM_MASK_VERIFY_VIDEO: LogInfo(Actor.SYSTEM, "check-video task started"),
    LogType.SYSTEM_MASK_VERIFY_VIDEO_SUCCESS: LogInfo(Actor.SYSTEM, "check video made"),
    LogType.SYSTEM_MASK_VERIFY_VIDEO_FAILED: LogInfo(Actor.SYSTEM, "check video failed"),
    LogType.SYSTEM_MARKABLE_VIDEO_SUCCESS: LogInfo(Actor.SYSTEM, "marking video made"),
    LogType.SYSTEM_BEAUTY_PREPROCESSING: LogInfo(Actor.SYSTEM, "retouching running"),
    LogType.SYSTEM_BEAUTY_PREPROCESS_FAILED: LogInfo(Actor.SYSTEM, "retouching failed"),
    LogType.ADMIN_CONFIRM_ACTION: LogInfo(Actor.ADMIN, "admin confirmed the actions"),
    LogType.ADMIN_STOP_ACTION_GENERATE_DATA_PREPROCESS: LogInfo(
        Actor.ADMIN, "atomic-action generation stopped by hand"
    ),
    LogType.ADMIN_STOP_ACTION_GENERATE_ORI_PREPROCESS: LogInfo(Actor.ADMIN, "choreography stopped by hand"),
    LogType.SYSTEM_BEAUTY_PREPROCESS_SUCCESS: LogInfo(Actor.SYSTEM, "retouched training video ready"),
    LogType.SYSTEM_COMPILE_FAILED: LogInfo(Actor.SYSTEM, "compilation failed"),
    LogType.SYSTEM_COMPILE_SUCCESS: LogInfo(Actor.SYSTEM, "compilation succeeded"),
    LogType.SYSTEM_MARKABLE_VIDEO_FAILED: LogInfo(Actor.SYSTEM, "marking video failed"),
    LogType.ADMIN_UPDATE_COMPILE: LogInfo(Actor.ADMIN, "admin changed the compile settings"),
    LogType.ADMIN_UPDATE_INFERENCE_DATA_PROCESS_VIDEO: LogInfo(Actor.ADMIN, "admin changed the inference time range"),
    LogType.SYSTEM_EXECUTE_COMPILE: LogInfo(Actor.SYSTEM, "compilation dispatched"),
    LogType.SYSTEM_EXECUTE_BEAUTY: LogInfo(Actor.SYSTEM, "retouching dispatched"),
    LogType.SYSTEM_MASK_VIDEO_AND_ACTION_TIME_SUCCESS: LogInfo(Actor.SYSTEM, "automatic marking succeeded"),
    LogType.SYSTEM_MASK_VIDEO_AND_ACTION_TIME_FAILED: LogInfo(Actor.SYSTEM, "automatic marking failed"),
    LogType.USER_UPDATE_VIDEO: LogInfo(Actor.USER, "user replaced the video"),
    LogType.ADMIN_UPLOAD_JSON_DATA: LogInfo(Actor.ADMIN, "admin uploaded action data"),
    LogType.ADMIN_DELETE_JSON_DATA: LogInfo(Actor.ADMIN, "admin deleted action data"),
    LogType.ADMIN_UPDATE_GENERAL_CONFIG: LogInfo(Actor.ADMIN, "admin changed the general settings"),
    LogType.ADMIN_MASK_ACTION_TIME: LogInfo(Actor.ADMIN, "admin marked (times)"),
    LogType.STOP_COMPILE: LogInfo(Actor.ADMIN, "compilation stopped by hand"),
    LogType.MAKE_TEST_VIDEO: LogInfo(Actor.ADMIN, "test video"),
    LogType.ADMIN_SET_FLEXUS_RETRY_COUNT: LogInfo(Actor.ADMIN, "admin set the Flexus retry count"),
    LogType.USER_DELETE_JOB_VIDEO: LogInfo(Actor.USER, "user deleted the job videos"),
    LogType.ADMIN_SET_VIDEO_ROTATION_ANGLE: LogInfo(Actor.ADMIN, "admin set the video rotation"),
    LogType.ADMIN_RE_SET_VIDEO_ROTATION_ANGLE: LogInfo(Actor.ADMIN, "admin undid the video rotation"),
    LogType.SYSTEM_SET_VIDEO_ROTATION_ANGLE_SUCCESS: LogInfo(Actor.SYSTEM, "rotation succeeded"),
    LogType.SYSTEM_SET_VIDEO_ROTATION_ANGLE_FAILED: LogInfo(Actor.SYSTEM, "rotation failed"),
    LogType.COMPILE_JOB_IS_CONSUME: LogInfo(Actor.SYSTEM, "a worker took the compile task"),
    LogType.RESTART_TEST_VIDEO_CHECK: LogInfo(Actor.ADMIN, "test-video check run again"),
    LogType.SKIP_TEST_VIDEO_CHECK: LogInfo(Actor.ADMIN, "test-video check skipped"),
    LogType.WAIT_TEST_VIDEO_CHECK: LogInfo(Actor.SYSTEM, "waiting for the test-video check"),
    LogType.TEST_VIDEO_CHECK_PROCESSING: LogInfo(Actor.SYSTEM, "test-video check running"),
    LogType.TEST_VIDEO_CHECK_SUCCESS: LogInfo(Actor.SYSTEM, "test-video check passed"),
    LogType.TEST_VIDEO_CHECK_FAILED: LogInfo(Actor.SYSTEM, "test-video check failed"),
    LogType.REDO_INFERENCE_PREPROCESSING: LogInfo(Actor.ADMIN, "inference preprocessing run again"),
    LogType.REDO_TRAINING_PREPROCESSING: LogInfo(Actor.ADMIN, "training preprocessing run again"),
    LogType.REDO_TRAINING: LogInfo(Actor.ADMIN, "training run again"),
    LogType.REDO_ACTION_DATA_GENERATE: LogInfo(Actor.ADMIN, "atomic actions generated again"),
    LogType.REDO_ACTION_ORI_GENERATE: LogInfo(Actor.ADMIN, "choreography run again"),
    LogType.VIDEO_ANALYZE_PROCESSING: LogInfo(Actor.SYSTEM, "video inspection running"),
    LogType.VIDEO_ANALYZE_SUCCESS: LogInfo(Actor.SYSTEM, "video inspection passed"),
    LogType.VIDEO_ANALYZE_FAILED: LogInfo(Actor.SYSTEM, "video inspection failed"),
    LogType.ADMIN_RESOLUTION_NORMALIZE: LogInfo(Actor.ADMIN, "admin ordered resolution normalisation"),
    LogType.SYSTEM_SET_RESOLUTION_NORMALIZE_SUCCESS: LogInfo(Actor.SYSTEM, "normalisation succeeded"),
    LogType.SYSTEM_SET_RESOLUTION_NORMALIZE_FAILED: LogInfo(Actor.SYSTEM, "normalisation failed"),
    LogType.SYSTEM_ACTION_MARK_PREPROCESS_FAILED: LogInfo(Actor.SYSTEM, "action-marking task failed"),
    LogType.SYSTEM_ACTION_MARK_PREPROCESSING: LogInfo(Actor.SYSTEM, "action-marking task running"),
    LogType.SYSTEM_ACTION_MARK_PREPROCESS_SUCCESS: LogInfo(Actor.SYSTEM, "action-marking task succeeded"),
    LogType.REDO_ACTION_MARK: LogInfo(Actor.ADMIN, "atomic-action marking run again"),
    LogType.CONFIRM_ACTION_MARK: LogInfo(Actor.ADMIN, "pre-marked actions confirmed"),
    LogType.MANUAL_STOP_ACTION_MARK: LogInfo(Actor.ADMIN, "action marking stopped"),
    LogType.TIME_OUT_RETRY: LogInfo(Actor.SYSTEM, "retried after a timeout"),
    LogType.ADMIN_UPDATE_TRAIN_LOCATION: LogInfo(Actor.ADMIN, "admin changed the training region"),
    LogType.SYSTEM_WAIT_ASSET_SYNC: LogInfo(Actor.SYSTEM, "waiting for asset synchronisation"),
    LogType.ADMIN_UPDATE_INFERENCE_DATA_CHAT_PROCESS_VIDEO: LogInfo(
        Actor.ADMIN, "admin changed the inference time range of the chat service"
    ),
    LogType.ADMIN_UPDATE_TRAIN_TIME: LogInfo(Actor.ADMIN, "admin changed the training time range"),
    LogType.SYSTEM_INFERENCE_DATA_REASSEMBLE_WAITING: LogInfo(
        Actor.SYSTEM, "inference data waiting to be re-assembled"
    ),
    LogType.SYSTEM_INFERENCE_DATA_REASSEMBLE_PROCESSING: LogInfo(Actor.SYSTEM, "inference data being re-assembled"),
}
