"""What Show is compared with: FastAPI with one endpoint that does one indexed read, and nothing else."""

from __future__ import annotations

import os

import sqlalchemy as sa
from fastapi import FastAPI

app = FastAPI()
_engine = sa.create_engine(os.environ["BARE_DATABASE"], pool_size=40, isolation_level="AUTOCOMMIT")
_columns = ("id", "project_id", "name", "state", "profile")
_jobs = sa.Table("jobs", sa.MetaData(), *(sa.Column(name, sa.String) for name in _columns))


@app.get("/jobs/{job_id}")
def show(job_id: str) -> dict[str, str]:
    with _engine.connect() as connection:
        row = connection.execute(sa.select(_jobs).where(_jobs.c.id == job_id)).one()
    return dict(row._mapping)
