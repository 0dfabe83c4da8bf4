"""The next version of this product, as a developer would make it by CONTRIBUTING.md: a copy of the source with changes.

It adds what old processes have never heard of: a migration (a column, a table, an index, words of a check constraint),
a stage with its states, log types and command, a sweep with its wake-up. Whoever has `make(directory)` on PYTHONPATH in
front of everything else runs it.

python -m tests.faults.next_version STARTED JOB[=SHA256]...    are the promises kept, as that version sees them?
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Final, cast

from tests.workers import ROOT, Installation

REVISION: Final = "0998"
CONTRACT: Final = "0999"
SWEEP: Final = "polish_notes"
_STATES: Final = ("wait_polish", "polishing", "polish_failed")

# file -> (what stands there, what is put behind it)
_CHANGES: Final[dict[str, list[tuple[str, str]]]] = {
    "domain/states.py": [
        (
            "class JobState(StrEnum):\n",
            "".join(f'    {state.upper()} = "{state}"\n' for state in _STATES),
        ),
        (
            "STATES: Final[Mapping[JobState, StateInfo]] = {\n",
            (
                '    _S.WAIT_POLISH: StateInfo(Phase.RUNNING, _SYSTEM, _QUEUE, "waits for polish"),\n'
                '    _S.POLISHING: StateInfo(Phase.RUNNING, _SYSTEM, _RUN, "is being polished"),\n'
                '    _S.POLISH_FAILED: StateInfo(Phase.FAILED, _ADMIN, _PERSON, "polishing failed"),\n'
            ),
        ),
    ],
    "domain/log_types.py": [
        (
            "class LogType(StrEnum):\n",
            (
                '    SYSTEM_POLISHING = "system_polishing"\n    SYSTEM_POLISHED = "system_polished"\n'
                '    SYSTEM_POLISH_FAILED = "system_polish_failed"\n    REDO_POLISH = "redo_polish"\n'
            ),
        ),
        (
            "LOG_TYPES: Final[Mapping[LogType, LogInfo]] = {\n",
            (
                '    LogType.SYSTEM_POLISHING: LogInfo(Actor.SYSTEM, "polishing"),\n'
                '    LogType.SYSTEM_POLISHED: LogInfo(Actor.SYSTEM, "polished"),\n'
                '    LogType.SYSTEM_POLISH_FAILED: LogInfo(Actor.SYSTEM, "polishing failed"),\n'
                '    LogType.REDO_POLISH: LogInfo(Actor.ADMIN, "polish again"),\n'
            ),
        ),
    ],
    "domain/commands.py": [("class Command(StrEnum):\n", '    REDO_POLISH = "redo_polish"\n')],
    "domain/stages.py": [
        (
            "# In three groups, because",
            (
                " something stands between them.\n"
                'POLISH: Final = Stage("polish", S.WAIT_POLISH, S.POLISHING, None, S.POLISH_FAILED, S.POLISH_FAILED, '
                "(L.SYSTEM_POLISHING,), (L.SYSTEM_POLISHED,), L.SYSTEM_POLISH_FAILED, L.SYSTEM_POLISH_FAILED, "
                "Command.REDO_POLISH, L.REDO_POLISH)\n#"
            ),
        ),
        ("COMPILE, TEST_VIDEO", ", POLISH"),
    ],
    "app/sweeps.py": [
        (
            "SWEEPS: Final = (\n",
            f'    Sweep("{SWEEP}", timedelta(seconds=1), care.nonces, "a sweep that old workers do not know"),\n',
        )
    ],
    "adapters/db/tables.py": [
        (
            '    sa.Column("asset_id", Id),\n',
            '    sa.Column("polish_note", sa.Text),\n    sa.Index("ix_jobs_polish", "polish_note"),\n',
        )
    ],
}
_TABLE: Final = """
polish_notes = sa.Table("polish_notes", metadata, sa.Column("job_id", Id, primary_key=True), sa.Column("at", Instant))
"""
_MIGRATION: Final = """
import sqlalchemy as sa
from alembic import op
from orchestrator.adapters.db.tables import Id, jobs
from orchestrator.adapters.db.types import Instant

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    op.create_table("polish_notes", sa.Column("job_id", Id, nullable=False), sa.Column("at", Instant()),
                    sa.PrimaryKeyConstraint("job_id", name="pk_polish_notes"))
    [words] = [each for each in jobs.constraints if each.name == "ck_jobs_state"]
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("polish_note", sa.Text()))
        batch.drop_constraint(op.f("ck_jobs_state"), type_="check")
        batch.create_check_constraint(op.f("ck_jobs_state"), sa.text(str(words.sqltext)))
    op.create_index("ix_jobs_polish", "jobs", ["polish_note"])
"""
_TAKEN_AWAY: Final = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"
contract = "{before}"


def upgrade() -> None:
    op.drop_table("nonces")
"""


def migration(directory: Path, revision: str, before: str) -> None:
    """Write the migration of the next version into a directory of versions; of the one after it, if it is CONTRACT."""
    text = _TAKEN_AWAY if revision == CONTRACT else _MIGRATION
    (directory / f"{revision}_next.py").write_text(text.format(revision=revision, before=before), encoding="utf-8")


def make(directory: Path) -> Path:
    """The source of the next version, below `directory`; gives what has to come first on PYTHONPATH."""
    for package in ("orchestrator", "tasks"):
        shutil.copytree(ROOT / package, directory / package)  # with what is compiled already: times are kept
    source = directory / "orchestrator"
    for name, changes in _CHANGES.items():
        text = (source / name).read_text(encoding="utf-8")
        for anchor, added in changes:
            assert text.count(anchor) == 1, f"{name}: {anchor!r} is there {text.count(anchor)} times"
            text = text.replace(anchor, anchor + added)
        (source / name).write_text(text, encoding="utf-8")
    with (source / "adapters/db/tables.py").open("a", encoding="utf-8") as tables:
        tables.write(_TABLE)
    versions = source / "adapters/db/migrations/versions"
    migration(versions, REVISION, max(versions.glob("[0-9]*.py")).stem.partition("_")[0])
    return directory


def _check(started: Path, jobs: list[str]) -> None:
    from orchestrator.bootstrap import build_app
    from orchestrator.domain.states import JobState
    from orchestrator.settings import load
    from tests.faults.promises import Expected, promises, raise_broken

    begun = started.read_text(encoding="utf-8").split()
    seen = SimpleNamespace(app=build_app(load()), directory=started.parent, runs_started=lambda: begun)
    told = [job.partition("=") for job in jobs]
    expected = [Expected(job_id, JobState.JOB_SUCCESS, sha256) for job_id, _, sha256 in told]
    raise_broken(promises(cast("Installation", seen), expected, seen.app.context.storage))


if __name__ == "__main__":
    _check(Path(sys.argv[1]), sys.argv[2:])
