"""What people decide and say: one transaction for the decision, the reviewer, the comment and the log line."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.app.context import Context
from orchestrator.app.jobs import Jobs, actor_of, hand_over
from orchestrator.app.moves import Ask, plan
from orchestrator.domain.actors import Actor, Caller, Role
from orchestrator.domain.commands import Command
from orchestrator.domain.errors import CommandNotAllowed, Invalid, NotFound
from orchestrator.domain.guards import Given
from orchestrator.domain.model import CommentType, Job, Move
from orchestrator.domain.states import JobState
from orchestrator.domain.views import JobQuery, JobSummary
from orchestrator.ports.store import Tx

COMMENT_LIMIT = 2048  # characters; MetaStudio's comment_message


class Review:
    """Use cases of reviewers, and comments of everybody."""

    def __init__(self, context: Context, jobs: Jobs) -> None:
        self._context = context
        self._jobs = jobs

    def next(self, caller: Caller, limit: int = 1) -> list[JobSummary]:
        """Jobs that wait for a reviewer, the oldest first."""
        caller.require(Role.REVIEWER, "reviewing")
        query = JobQuery(None, states=(JobState.MANUAL_VERIFYING,), limit=limit, oldest_first=True)
        with self._context.store.read() as tx:
            return tx.reads.page(query)

    def approve(self, caller: Caller, job_id: str, comment: str = "") -> Job:
        """Let the job go on. The second of two reviewers is told who was first."""
        return self._decide(caller, job_id, Command.APPROVE, comment)

    def reject(self, caller: Caller, job_id: str, reasons: Sequence[str]) -> Job:
        """Give the job back to its owner with reasons, at least one.

        Raises:
            GuardRefused: no reason was given.
        """
        return self._decide(caller, job_id, Command.REJECT, "; ".join(r.strip() for r in reasons if r.strip()))

    def _decide(self, caller: Caller, job_id: str, command: Command, comment: str) -> Job:
        _check_length(comment)

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            at = self._context.clock()
            ask = Ask(
                command, actor_of(caller, job, command), caller.name, Given(comment=comment),
                description=comment, message=comment if command is Command.REJECT else "",
            )  # fmt: skip
            try:
                move = plan(self._context.profile_of(job), job, ask, at)
            except CommandNotAllowed as exc:
                decided = [e for e in tx.reads.log(job.id) if e.command in {Command.APPROVE, Command.REJECT}]
                if not decided:
                    raise
                last = decided[-1]
                told = f"{last.operator} was first: {last.command} at {last.at:%Y-%m-%d %H:%M:%S} UTC"
                raise CommandNotAllowed(f"{exc.message}; {told}", **exc.details, decided_by=last.operator) from exc
            tx.jobs.move(move)
            if comment:
                tx.comments.add(
                    job.id, at=at, author=caller.name, kind=CommentType.ADMIN_COMMENT, title="", text=comment
                )
            return move

        return self._jobs.transact(work).after

    def comment(
        self, caller: Caller, job_id: str, text: str, *, title: str = "", attachments: Sequence[str] = ()
    ) -> int:
        """Say something about a job, with files uploaded as attachments; gives the comment's id.

        Raises:
            Invalid: nothing said, too much said, or an attachment that is not a free one of this job.
        """
        _check_length(text)
        if not text.strip():
            raise Invalid("the comment is empty", field="text")
        with self._context.store.begin() as tx:
            job = tx.jobs.get(job_id)
            if not caller.may_see(job.project_id):
                raise NotFound(f"there is no job {job_id}", job_id=job_id)
            own = caller.role is Role.USER
            kind = CommentType.USER_COMMENT if own else CommentType.ADMIN_COMMENT
            at = self._context.clock()
            comment_id = tx.comments.add(job_id, at=at, author=caller.name, kind=kind, title=title, text=text)
            if attachments and tx.files.attach(list(attachments), job.id, comment_id) != len(set(attachments)):
                raise Invalid(
                    "every attachment has to be an uploaded, unused attachment of this job", field="attachments"
                )
            return comment_id

    def answer_result(self, caller: Caller, job_id: str, command: Command, comment: str) -> Job:
        """Accept, reject or discuss a result as its owner: the command and the comment in one transaction."""
        _check_length(comment)

        def work(tx: Tx) -> Move:
            job = tx.jobs.get(job_id)
            at = self._context.clock()
            actor = actor_of(caller, job, command)
            move = plan(
                self._context.profile_of(job), job,
                Ask(command, actor, caller.name, Given(comment=comment), description=comment), at,
            )  # fmt: skip
            tx.jobs.move(move)
            hand_over(tx, move)
            if comment.strip():
                kind = CommentType.USER_REJECT if command is Command.REJECT_RESULT else CommentType.USER_COMMENT
                said = kind if actor is Actor.USER else CommentType.ADMIN_COMMENT
                tx.comments.add(job.id, at=at, author=caller.name, kind=said, title="", text=comment)
            return move

        return self._jobs.transact(work).after


def _check_length(text: str) -> None:
    if len(text) > COMMENT_LIMIT:
        raise Invalid(f"the text has {len(text)} characters; {COMMENT_LIMIT} are allowed", field="comment")
