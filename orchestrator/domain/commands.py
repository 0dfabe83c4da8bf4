"""Closed word lists: what may be asked of a job, and what work a move makes due."""

from __future__ import annotations

from enum import StrEnum


class Command(StrEnum):
    """What an actor asks of a job; the table answers."""

    CREATE = "create"
    # the owner of the job
    EDIT = "edit"  # name, description, free fields
    DESCRIBE = "describe"  # name and description alone, which change nothing of the work
    UPDATE = "update"  # MetaStudio's update call: as EDIT, but only after a failed review
    OPEN_UPLOAD = "open_upload"  # upload addresses for a file kind, the first or fresh ones
    REPLACE_VIDEO = "replace_video"
    CONFIRM_VIDEO = "confirm_video"
    CONFIRM_COVER = "confirm_cover"
    CONFIRM_FILE = "confirm_file"
    SUBMIT = "submit"
    REPAIR = "repair"
    DELETE_VIDEO = "delete_video"
    DELETE = "delete"
    ACCEPT_RESULT = "accept_result"
    REJECT_RESULT = "reject_result"
    ANSWER = "answer"
    SUSPEND = "suspend"
    RESUME = "resume"
    # reviewers and admins
    APPROVE = "approve"
    REJECT = "reject"
    ACCEPT = "accept"
    CONFIRM_ACTION = "confirm_action"
    CONFIRM_ACTION_MARK = "confirm_action_mark"
    UPLOAD_ACTION_MARK = "upload_action_mark"
    UPLOAD_MASK = "upload_mask"
    BEAUTIFY_BY_HAND = "beautify_by_hand"
    UPLOAD_BEAUTY_VIDEO = "upload_beauty_video"
    SKIP_TEST_VIDEO = "skip_test_video"
    STOP = "stop"
    RESET = "reset"
    REDO_VIDEO_ANALYZE = "redo_video_analyze"
    REDO_BEAUTY = "redo_beauty"
    REDO_TRAINING_PREPROCESSING = "redo_training_preprocessing"
    REDO_TRAINING = "redo_training"
    REDO_INFERENCE_PREPROCESSING = "redo_inference_preprocessing"
    REDO_ACTION_MARK = "redo_action_mark"
    REDO_ACTION_DATA_GENERATE = "redo_action_data_generate"
    REDO_ACTION_ORI_GENERATE = "redo_action_ori_generate"
    REDO_COMPILE = "redo_compile"
    RESTART_TEST_VIDEO_CHECK = "restart_test_video_check"
    SET_PRIORITY = "set_priority"
    SET_RETRY_COUNT = "set_retry_count"
    SET_BEAUTY_LEVEL = "set_beauty_level"
    SET_SILENCE_REPEAT = "set_silence_repeat"
    SET_INFERENCE_RANGE = "set_inference_range"
    SET_CHAT_INFERENCE_RANGE = "set_chat_inference_range"
    SET_TRAIN_RANGE = "set_train_range"
    SET_TRAIN_LOCATION = "set_train_location"
    SET_ACTION_TIMES = "set_action_times"
    SET_GENERAL = "set_general"
    # the machine itself
    AUTO_ACCEPT = "auto_accept"
    AUTO_REJECT = "auto_reject"
    ADVANCE = "advance"  # on to the next station, within the transaction that made it possible
    START = "start"
    SUCCEED = "succeed"
    FAIL = "fail"
    TIME_OUT = "time_out"  # the worker of a running stage went silent: wait for another one
    RETRY = "retry"
    MODEL_STORED = "model_stored"
    PUBLISH = "publish"
    DISCARD = "discard"  # an abandoned draft
    FLAG_OVERDUE = "flag_overdue"


class Effect(StrEnum):
    """Work that a row makes due. The job row holds it with its `due_at`; messages are only wake-ups."""

    VERIFY = "verify"
    DISPATCH = "dispatch"
    STORE_MODEL = "store_model"
    PUBLISH = "publish"
    RETRY = "retry"
    OVERDUE = "overdue"
