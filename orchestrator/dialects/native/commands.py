"""Which use case a command of the API is: one row per command that callers may ask by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from orchestrator.app.app import App
from orchestrator.dialects.native.schemas import Ask
from orchestrator.domain.actors import Caller
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import Invalid
from orchestrator.domain.model import Job
from orchestrator.domain.stages import STAGES
from orchestrator.domain.transitions import SETTINGS

Asked = Callable[[App, Caller, str, Command, Ask], Job]


def _plain(app: App, caller: Caller, job_id: str, command: Command, ask: Ask) -> Job:
    return app.jobs.ask(caller, job_id, command, comment=_words(ask))


def _answer(app: App, caller: Caller, job_id: str, command: Command, ask: Ask) -> Job:
    return app.review.answer_result(caller, job_id, command, _words(ask))


def _redo(app: App, caller: Caller, job_id: str, command: Command, ask: Ask) -> Job:
    stage = next(stage.name for stage in STAGES if stage.redo is command)
    return app.jobs.retrain(caller, job_id, stage, ask.reasons)


def _setting(app: App, caller: Caller, job_id: str, command: Command, ask: Ask) -> Job:
    return app.jobs.configure(caller, job_id, command, ask.value)


def _words(ask: Ask) -> str:
    return ask.comment or "; ".join(ask.reasons)


def _number(ask: Ask) -> int:
    if isinstance(ask.value, bool) or not isinstance(ask.value, int):
        raise Invalid(f"value has to be a whole number, found {ask.value!r}", field="value")
    return ask.value


def _reject(app: App, caller: Caller, job_id: str, _command: Command, ask: Ask) -> Job:
    return app.review.reject(caller, job_id, ask.reasons or (ask.comment,))


def _retry_count(app: App, caller: Caller, job_id: str, _command: Command, ask: Ask) -> Job:
    return app.jobs.set_retry_count(caller, job_id, _number(ask))


_WITH_WORDS_ONLY: Final = (
    Command.REPAIR,
    Command.SUSPEND,
    Command.RESUME,
    Command.ACCEPT,
    Command.CONFIRM_ACTION,
    Command.CONFIRM_ACTION_MARK,
    Command.UPLOAD_ACTION_MARK,
    Command.UPLOAD_MASK,
    Command.BEAUTIFY_BY_HAND,
    Command.UPLOAD_BEAUTY_VIDEO,
    Command.SKIP_TEST_VIDEO,
)

COMMANDS: Final[Mapping[Command, Asked]] = {
    Command.SUBMIT: lambda app, caller, job_id, _c, _a: app.uploads.submit(caller, job_id),
    Command.DELETE_VIDEO: lambda app, caller, job_id, _c, _a: app.jobs.delete_video(caller, job_id),
    Command.APPROVE: lambda app, caller, job_id, _c, ask: app.review.approve(caller, job_id, ask.comment),
    Command.REJECT: _reject,
    Command.STOP: lambda app, caller, job_id, _c, ask: app.jobs.stop(caller, job_id, _words(ask)),
    Command.RESET: lambda app, caller, job_id, _c, ask: app.jobs.reset(caller, job_id, ask.reasons),
    Command.SET_PRIORITY: lambda app, caller, job_id, _c, ask: app.jobs.set_priority(caller, job_id, _number(ask)),
    Command.SET_RETRY_COUNT: _retry_count,
    **dict.fromkeys((Command.ACCEPT_RESULT, Command.REJECT_RESULT, Command.ANSWER), _answer),
    **dict.fromkeys((stage.redo for stage in STAGES), _redo),
    **dict.fromkeys(SETTINGS, _setting),
    **dict.fromkeys(_WITH_WORDS_ONLY, _plain),
}


_BY_NAME: Final = {command.value: command for command in COMMANDS}


def execute(app: App, caller: Caller, job_id: str, name: str, ask: Ask) -> Job:
    """Ask a command by its name. Raises Invalid for one that is not asked this way."""
    command = _BY_NAME.get(name)
    if command is None:
        raise Invalid(f"{name!r} is no command to ask; there are {sorted(_BY_NAME)}", field="command")
    return COMMANDS[command](app, caller, job_id, command, ask)
