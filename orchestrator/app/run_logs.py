"""Runs as people look at them, and what their trainers wrote."""

from __future__ import annotations

from orchestrator.app.context import Context
from orchestrator.domain.actors import Caller, Role
from orchestrator.domain.errors import NotFound
from orchestrator.domain.model import Run


class RunLogs:
    """Questions about single runs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def show(self, caller: Caller, run_id: str) -> Run:
        """One try of a stage. Raises NotFound, also for another project's."""
        with self._context.store.read() as tx:
            run = tx.runs.get(run_id)
        if not caller.may_see(run.project_id):
            raise NotFound(f"there is no run {run_id}", run_id=run_id)
        return run

    def read(self, caller: Caller, run_id: str, offset: int = 0) -> tuple[str, int]:
        """What the trainer wrote from byte `offset` on, and the offset to ask with next.

        Empty for a run that was not submitted yet, or whose pool is no more.

        Raises:
            Forbidden: it may tell of the machine that it runs on, and is for admins.
            NotFound, TrainerUnavailable.
        """
        caller.require(Role.ADMIN, "the log of a run")
        run = self.show(caller, run_id)
        pool = self._context.pools.get(run.pool)
        if pool is None or run.handle is None:
            return "", offset
        return pool.backend.logs(run.handle, offset)
