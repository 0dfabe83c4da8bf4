"""The tables. Every index says which question it answers; states are words, so that people can read rows.

Jobs carry their own schedule (`effect`, `due_at`) and lease; there is no outbox and no second queue.
"""

from __future__ import annotations

import sqlalchemy as sa

from orchestrator.adapters.db.types import JSON, BigId, Instant
from orchestrator.domain.commands import Effect
from orchestrator.domain.model import FileKind, FileState, RunOutcome
from orchestrator.domain.states import JobState

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
Id = sa.String(64)


def _one_of(column: str, words: type[JobState | Effect | FileState | FileKind | RunOutcome]) -> sa.CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=column)


projects = sa.Table(
    "projects", metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("share", sa.Integer, nullable=False, server_default="1"),  # weight in the fair share of slots
    sa.Column("attributes", JSON, nullable=False, server_default="{}"),
    sa.Column("created_at", Instant, nullable=False),
)  # fmt: skip

access_keys = sa.Table(
    "access_keys", metadata,
    sa.Column("id", sa.String(128), primary_key=True),  # the public access key, or the name of a token
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False, index=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("secret_encrypted", sa.Text),  # signing needs the secret itself, so it is encrypted, not hashed
    sa.Column("token_hash", sa.String(64), unique=True),  # SHA-256 of a bearer token of 256 random bits
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("disabled_at", Instant),  # refused from then on; may lie ahead
    sa.Column("is_temporary", sa.Boolean, nullable=False, server_default=sa.false()),  # signs only beside its token
)  # fmt: skip

# Who did what to projects, keys and secrets; acts on jobs are in operation_log.
audit_log = sa.Table(
    "audit_log", metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("key_id", sa.String(128), nullable=False),
    sa.Column("operator", sa.String(128), nullable=False),
    sa.Column("act", sa.String(32), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("details", JSON, nullable=False, server_default="{}"),
)  # fmt: skip

jobs = sa.Table(
    "jobs", metadata,
    sa.Column("id", Id, primary_key=True),  # time-ordered, so newest first is id descending
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("profile", sa.String(64), nullable=False),
    sa.Column("state", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("effect", sa.String(16)),
    sa.Column("due_at", Instant),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Instant),
    sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"),
    sa.Column("switches", sa.Text, nullable=False),  # words joined by one space
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("infra_retries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("retry_limit", sa.Integer),
    sa.Column("failure", sa.String(16)),
    sa.Column("approved", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("repairs_left", sa.Integer, nullable=False, server_default="0"),
    sa.Column("suspended_from", sa.String(64)),
    sa.Column("run_id", Id),
    sa.Column("asset_id", Id),
    sa.Column("pool", sa.String(64)),  # where it waits for a slot
    # the sheet
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("owner", sa.String(128), nullable=False, server_default=""),
    sa.Column("app_user_id", sa.String(256)),
    sa.Column("batch_name", sa.String(256)),
    sa.Column("tags", JSON, nullable=False, server_default="[]"),
    sa.Column("attributes", JSON, nullable=False, server_default="{}"),
    sa.Column("settings", JSON, nullable=False, server_default="{}"),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("user_updated_at", Instant, nullable=False),
    sa.Column("state_since", Instant, nullable=False),
    sa.Column("first_submitted_at", Instant),
    sa.Column("last_submitted_at", Instant),
    sa.Column("overdue_at", Instant),
    sa.Column("deleted_at", Instant),  # gone for everybody; rows and objects follow by the retention sweep
    _one_of("state", JobState),
    _one_of("effect", Effect),
    sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name="lease"),
)  # fmt: skip
_due = sa.and_(jobs.c.due_at.is_not(None), jobs.c.lease_token.is_(None), jobs.c.deleted_at.is_(None))
sa.Index("ix_jobs_due", jobs.c.effect, jobs.c.due_at, postgresql_where=_due, sqlite_where=_due)  # claiming
_leased = jobs.c.lease_token.is_not(None)
sa.Index("ix_jobs_leased", jobs.c.lease_until, postgresql_where=_leased, sqlite_where=_leased)  # lost leases
_waiting = sa.and_(
    jobs.c.effect == sa.literal_column("'dispatch'"), jobs.c.lease_token.is_(None), jobs.c.deleted_at.is_(None)
)
sa.Index(  # dispatching: per pool and project by priority, then age
    "ix_jobs_waiting", jobs.c.pool, jobs.c.project_id, jobs.c.priority.desc(), jobs.c.due_at,
    postgresql_where=_waiting, sqlite_where=_waiting,
)  # fmt: skip
_alive = jobs.c.deleted_at.is_(None)
sa.Index("ix_jobs_project", jobs.c.project_id, jobs.c.id, postgresql_where=_alive, sqlite_where=_alive)  # lists
sa.Index(  # lists by state
    "ix_jobs_state", jobs.c.project_id, jobs.c.state, jobs.c.id, postgresql_where=_alive, sqlite_where=_alive
)
sa.Index(  # lists by the owner's last change
    "ix_jobs_updated", jobs.c.project_id, jobs.c.user_updated_at, jobs.c.id,
    postgresql_where=_alive, sqlite_where=_alive,
)  # fmt: skip
_reviewed = sa.and_(_alive, jobs.c.state == sa.literal_column("'manual_verifying'"))
sa.Index("ix_jobs_review", jobs.c.id, postgresql_where=_reviewed, sqlite_where=_reviewed)  # the reviewers' queue
_deleted = jobs.c.deleted_at.is_not(None)
sa.Index("ix_jobs_deleted", jobs.c.deleted_at, postgresql_where=_deleted, sqlite_where=_deleted)  # retention

# How many jobs a project has in a state, kept by every move. Sharded, so that two transactions rarely meet on one row.
job_counts = sa.Table(
    "job_counts", metadata,
    sa.Column("project_id", Id, primary_key=True),
    sa.Column("state", sa.String(64), primary_key=True),
    sa.Column("shard", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("jobs", sa.BigInteger, nullable=False),
)  # fmt: skip

operation_log = sa.Table(
    "operation_log", metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("job_id", Id, nullable=False),  # no foreign key: it would lock the job row for every line
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.String(8), nullable=False),
    sa.Column("operator", sa.String(128), nullable=False),
    sa.Column("command", sa.String(32), nullable=False),
    sa.Column("source", sa.String(64)),
    sa.Column("target", sa.String(64), nullable=False),
    sa.Column("log_type", sa.String(64)),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("error_code", sa.String(64)),
    sa.Column("details", JSON),
    sa.Index("ix_operation_log_job", "job_id", "version", "id"),
)  # fmt: skip

files = sa.Table(
    "files", metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("project_id", Id, nullable=False),
    sa.Column("job_id", Id, index=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("content_type", sa.String(128), nullable=False),
    sa.Column("staging_key", sa.String(256), nullable=False, unique=True),
    sa.Column("upload_id", sa.Text, nullable=False),
    sa.Column("part_count", sa.Integer, nullable=False),
    sa.Column("part_sizes", JSON, nullable=False),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("final_key", sa.String(256)),
    sa.Column("etag", sa.String(128)),
    sa.Column("sha256", sa.String(64)),
    sa.Column("facts", JSON),
    sa.Column("comment_id", BigId),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("sealed_at", Instant),
    sa.Column("due_at", Instant),  # when a sweep looks at it next; None: never
    sa.Column("lease_until", Instant),
    _one_of("kind", FileKind),
    _one_of("state", FileState),
)  # fmt: skip
_file_due = files.c.due_at.is_not(None)
sa.Index("ix_files_due", files.c.state, files.c.due_at, postgresql_where=_file_due, sqlite_where=_file_due)
_file_final = files.c.final_key.is_not(None)
sa.Index(
    "ix_files_final", files.c.final_key, postgresql_where=_file_final, sqlite_where=_file_final
)  # who shares bytes

runs = sa.Table(
    "runs", metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("project_id", Id, nullable=False),
    sa.Column("stage", sa.String(32), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("key", sa.String(128), nullable=False, unique=True),
    sa.Column("handle", sa.Text),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("outcome", sa.String(16), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("progress", sa.Float),
    sa.Column("message", sa.Text, nullable=False, server_default=""),
    sa.Column("failure", sa.String(16)),
    sa.Column("exit_code", sa.Integer),
    sa.Column("artefacts", JSON, nullable=False, server_default="[]"),
    sa.Column("metrics", JSON, nullable=False, server_default="{}"),
    sa.Column("heartbeat_at", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
    sa.Column("cancel_at", Instant),
    sa.Column("due_at", Instant),  # when it is looked at next; None once it has ended
    sa.Column("superseded", sa.Boolean, nullable=False, server_default=sa.false()),  # made of material since replaced
    sa.Column("tidied", sa.Boolean, nullable=False, server_default=sa.false()),  # nothing of it is left in the store
    sa.UniqueConstraint("job_id", "stage", "attempt"),
    _one_of("outcome", RunOutcome),
)  # fmt: skip
_run_live = runs.c.due_at.is_not(None)
sa.Index("ix_runs_due", runs.c.due_at, postgresql_where=_run_live, sqlite_where=_run_live)  # polling
sa.Index("ix_runs_pool", runs.c.pool, runs.c.project_id, postgresql_where=_run_live, sqlite_where=_run_live)  # slots
_run_left = sa.and_(
    runs.c.ended_at.is_not(None), runs.c.tidied.is_(sa.false()), runs.c.outcome != sa.literal_column("'succeeded'")
)
sa.Index("ix_runs_left", runs.c.ended_at, postgresql_where=_run_left, sqlite_where=_run_left)  # retention

comments = sa.Table(
    "comments", metadata,
    sa.Column("id", BigId, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", Instant, nullable=False),
    sa.Column("author", sa.String(128), nullable=False),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("title", sa.Text, nullable=False, server_default=""),
    sa.Column("text", sa.Text, nullable=False, server_default=""),
)  # fmt: skip

assets = sa.Table(
    "assets", metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("job_id", Id, unique=True),  # one model per job, whatever runs twice
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("state", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("description", sa.Text, nullable=False, server_default=""),
    sa.Column("attributes", JSON, nullable=False, server_default="{}"),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Column("app_user_id", sa.String(256)),
    sa.Column("tags", JSON, nullable=False, server_default="[]"),
    sa.Column("asset_order", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", Instant),  # the end of the recycle bin, or an operation that its owner planned
    sa.Index("ix_assets_project", "project_id", "id"),
)  # fmt: skip
_asset_due = assets.c.due_at.is_not(None)
sa.Index("ix_assets_due", assets.c.due_at, postgresql_where=_asset_due, sqlite_where=_asset_due)

# Who else may use an asset; the project `*` stands for everybody.
asset_shares = sa.Table(
    "asset_shares", metadata,
    sa.Column("asset_id", sa.ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", Id, primary_key=True, index=True),
    sa.Column("expires_at", Instant, nullable=False),
)  # fmt: skip

# Lets one file of a job be fetched once; only the hash of the token is kept.
once_tokens = sa.Table(
    "once_tokens", metadata,
    sa.Column("token_hash", sa.String(64), primary_key=True),
    sa.Column("project_id", Id, nullable=False),
    sa.Column("job_id", Id, nullable=False),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)  # fmt: skip

# Of signed requests that may come once: SHA-256 of access key and nonce, kept while the request is fresh.
nonces = sa.Table(
    "nonces", metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)  # fmt: skip

asset_files = sa.Table(
    "asset_files", metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("asset_id", sa.ForeignKey("assets.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("key", sa.String(256), nullable=False),
    sa.Column("content_type", sa.String(128), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="created"),
    sa.Column("md5", sa.String(24)),
    sa.Column("file_type", sa.String(64), nullable=False, server_default=""),
    sa.Column("facts", JSON, nullable=False, server_default="{}"),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
)  # fmt: skip

# Thumbnails to be written to addresses of their owners; a row goes when that is done, or given up.
deliveries = sa.Table(
    "deliveries", metadata,
    sa.Column("asset_id", sa.ForeignKey("assets.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("project_id", Id, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("key", sa.String(256), nullable=False),
    sa.Column("content_type", sa.String(128), nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("due_at", Instant, nullable=False, index=True),
)  # fmt: skip

media = sa.Table(
    "media", metadata,
    sa.Column("id", Id, primary_key=True),  # time-ordered, as job ids
    sa.Column("project_id", sa.ForeignKey("projects.id"), nullable=False),
    sa.Column("file_id", Id),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("title", sa.String(256), nullable=False, server_default=""),
    sa.Column("input_url", sa.Text),
    sa.Column("reference_id", sa.String(64)),
    sa.Column("attributes", JSON, nullable=False, server_default="{}"),
    sa.Column("facts", JSON),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("deleted_at", Instant),
    sa.Column("version", sa.Integer, nullable=False, server_default="0"),
    sa.Column("place", sa.Text),  # the key its address names; None once it is deleted
    sa.Column("business_type", sa.String(32), nullable=False, server_default=""),
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("due_at", Instant),  # when somebody looks at it; None: it rests
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Instant),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint("project_id", "reference_id"),
    sa.Index("ix_media_project", "project_id", "id"),  # lists
    sa.Index("ix_media_place", "project_id", "place", unique=True),  # by address; one item a place
    sa.Index("ix_media_file", "file_id"),  # whose bytes have arrived
)  # fmt: skip
_media_due = sa.and_(media.c.due_at.is_not(None), media.c.deleted_at.is_(None))
sa.Index("ix_media_due", media.c.due_at, postgresql_where=_media_due, sqlite_where=_media_due)  # claiming
_media_deleted = media.c.deleted_at.is_not(None)
sa.Index(
    "ix_media_deleted", media.c.deleted_at, postgresql_where=_media_deleted, sqlite_where=_media_deleted
)  # retention

# Who may do a sweep now, or hand out the slots of a pool. A lease runs out by itself.
leases = sa.Table(
    "leases", metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("token", sa.String(32), nullable=False),
    sa.Column("lease_until", Instant, nullable=False),
    sa.Column("last_run_at", Instant),
)  # fmt: skip

idempotency_keys = sa.Table(
    "idempotency_keys", metadata,
    sa.Column("project_id", Id, primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),  # SHA-256 of method, path and body
    sa.Column("status", sa.Integer),  # None while the first request is under way
    sa.Column("body", sa.Text),
    sa.Column("made_id", Id),  # of what the request makes, the same however often it is begun
    sa.Column("lease_token", sa.String(32)),  # who does it now
    sa.Column("lease_until", Instant),
    sa.Column("expires_at", Instant, nullable=False, index=True),
)  # fmt: skip

# One row, once a migration took something away: the revision that a version has to know to work on this database.
schema_floor = sa.Table("schema_floor", metadata, sa.Column("revision", sa.String(32), primary_key=True))
