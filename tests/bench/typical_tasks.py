"""What we are compared with: one Celery task per stage and an ORM session per task, as a typical user writes it.

Defaults everywhere, as a tutorial leaves them; the same number of durable, logged transitions as ours.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from celery import Celery
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

STATES = (
    "checked", "queued", "training", "trained", "inference", "inference_done", "stored", "done",
)  # fmt: skip

app = Celery("typical", broker=os.environ.get("TYPICAL_BROKER"))
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


class Base(DeclarativeBase):
    pass


class Job(Base):
    __tablename__ = "typical_job"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    owner: Mapped[str]
    state: Mapped[str] = mapped_column(index=True)
    version: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime]


class LogLine(Base):
    __tablename__ = "typical_log"
    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("typical_job.id"), index=True)
    version: Mapped[int]
    at: Mapped[datetime]
    source: Mapped[str]
    target: Mapped[str]


_engine = create_engine(os.environ.get("TYPICAL_DATABASE", "sqlite://"))
_sessions: sessionmaker[Session] = sessionmaker(_engine)


@app.task
def stage(job_id: int, number: int) -> None:
    """Do one stage, write it down, send the next."""
    with _sessions() as session:
        job = session.get_one(Job, job_id)
        now = datetime.now(UTC).replace(tzinfo=None)
        session.add(LogLine(job_id=job.id, version=job.version + 1, at=now, source=job.state, target=STATES[number]))
        job.state, job.version, job.updated_at = STATES[number], job.version + 1, now
        session.commit()
    if number + 1 < len(STATES):
        stage.delay(job_id, number + 1)
