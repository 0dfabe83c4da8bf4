"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.adapters.db.types import JSON, BigId, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("content_type", sa.String(length=128), nullable=False),
        sa.Column("staging_key", sa.String(length=256), nullable=False),
        sa.Column("upload_id", sa.Text(), nullable=False),
        sa.Column("part_count", sa.Integer(), nullable=False),
        sa.Column("part_sizes", JSON, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("final_key", sa.String(length=256), nullable=True),
        sa.Column("etag", sa.String(length=128), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("facts", JSON, nullable=True),
        sa.Column("comment_id", BigId, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("sealed_at", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('training_video', 'action_video', 'cover', 'portrait', 'id_card_front', 'id_card_back', 'authorization_letter', 'audio', 'mask', 'action_mark', 'beauty_video', 'attachment', 'asset', 'media')",  # noqa: E501  a list of words
            name=op.f("ck_files_kind"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'sealing', 'sealed', 'aborting', 'aborted', 'deleting', 'deleted')",
            name=op.f("ck_files_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("staging_key", name=op.f("uq_files_staging_key")),
    )
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.create_index(
            "ix_files_due",
            ["state", "due_at"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_files_job_id"), ["job_id"], unique=False)

    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotency_keys")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotency_keys_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "job_counts",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("jobs", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "state", "shard", name=op.f("pk_job_counts")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("lease_until", Instant(), nullable=False),
        sa.Column("last_run_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "operation_log",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("actor", sa.String(length=8), nullable=False),
        sa.Column("operator", sa.String(length=128), nullable=False),
        sa.Column("command", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=True),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("log_type", sa.String(length=64), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("details", JSON, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation_log")),
    )
    with op.batch_alter_table("operation_log", schema=None) as batch_op:
        batch_op.create_index("ix_operation_log_job", ["job_id", "version", "id"], unique=False)

    op.create_table(
        "projects",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("share", sa.Integer(), server_default="1", nullable=False),
        sa.Column("attributes", JSON, server_default="{}", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("secret_encrypted", sa.Text(), nullable=True),
        sa.Column("token_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("disabled_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_access_keys_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_keys")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_access_keys_token_hash")),
    )
    with op.batch_alter_table("access_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_keys_project_id"), ["project_id"], unique=False)

    op.create_table(
        "assets",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=True),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("attributes", JSON, server_default="{}", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_assets_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assets")),
        sa.UniqueConstraint("job_id", name=op.f("uq_assets_job_id")),
    )
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.create_index("ix_assets_project", ["project_id", "id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("profile", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("takeovers", sa.Integer(), server_default="0", nullable=False),
        sa.Column("switches", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("infra_retries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retry_limit", sa.Integer(), nullable=True),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("approved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("repairs_left", sa.Integer(), server_default="0", nullable=False),
        sa.Column("suspended_from", sa.String(length=64), nullable=True),
        sa.Column("run_id", sa.String(length=64), nullable=True),
        sa.Column("asset_id", sa.String(length=64), nullable=True),
        sa.Column("pool", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("owner", sa.String(length=128), server_default="", nullable=False),
        sa.Column("app_user_id", sa.String(length=256), nullable=True),
        sa.Column("batch_name", sa.String(length=256), nullable=True),
        sa.Column("tags", JSON, server_default="[]", nullable=False),
        sa.Column("attributes", JSON, server_default="{}", nullable=False),
        sa.Column("settings", JSON, server_default="{}", nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("user_updated_at", Instant(), nullable=False),
        sa.Column("state_since", Instant(), nullable=False),
        sa.Column("first_submitted_at", Instant(), nullable=True),
        sa.Column("last_submitted_at", Instant(), nullable=True),
        sa.Column("overdue_at", Instant(), nullable=True),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "effect IN ('verify', 'dispatch', 'store_model', 'publish', 'retry', 'overdue')",
            name=op.f("ck_jobs_effect"),
        ),
        sa.CheckConstraint(
            "state IN ('wait_file_upload', 'auto_verifying', 'manual_verifying', 'auto_verify_failed', 'manual_verify_failed', 'manual_verify_success', 'wait_training_data_preprocess', 'training_data_preprocessing', 'training_data_preprocess_failed', 'training_data_preprocess_success', 'training', 'train_failed', 'train_success', 'inference_data_preprocessing', 'inference_data_preprocess_failed', 'wait_main_file_upload', 'manual_stop_inference_data_preprocess', 'manual_stop_train', 'manual_stop_training_data_preprocess', 'wait_admin_confirm', 'wait_compile', 'compiling', 'compile_failed', 'wait_generate_action', 'wait_arrange', 'action_generate_data_processing', 'manual_stop_action_generate_data_processing', 'manual_stop_action_generate_ori_processing', 'action_generate_ori_processing', 'action_generate_data_failed', 'action_generate_ori_failed', 'action_generate_ori_success', 'generate_action_preprocess_failed', 'wait_admin_calibration', 'wait_asset_sync', 'wait_generate_action_mark', 'action_marking', 'wait_user_confirm', 'job_reject', 'job_success', 'job_finish', 'job_pending', 'wait_test_video_check', 'test_video_check_processing', 'test_video_check_success', 'test_video_check_failed', 'video_analyze_processing', 'video_analyze_success', 'video_analyze_failed', 'action_mark_success', 'action_mark_failed', 'action_mark_uploaded', 'manual_stop_action_mark', 'wait_mask_upload', 'wait_beauty', 'beauty_face_processing', 'beauty_face_success', 'beauty_face_failed', 'wait_beauty_video_file_upload', 'beauty_video_file_uploaded', 'manual_stop_beauty_preprocess')",  # noqa: E501  a list of words
            name=op.f("ck_jobs_state"),
        ),
        sa.CheckConstraint("(lease_token IS NULL) = (lease_until IS NULL)", name=op.f("ck_jobs_lease")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_jobs_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_jobs_deleted",
            ["deleted_at"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
            sqlite_where=sa.text("deleted_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_due",
            ["effect", "due_at"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL AND lease_token IS NULL AND deleted_at IS NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL AND lease_token IS NULL AND deleted_at IS NULL"),
        )
        batch_op.create_index(
            "ix_jobs_leased",
            ["lease_until"],
            unique=False,
            postgresql_where=sa.text("lease_token IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_jobs_project",
            ["project_id", "id"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.create_index(
            "ix_jobs_review",
            ["id"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NULL AND state = 'manual_verifying'"),
            sqlite_where=sa.text("deleted_at IS NULL AND state = 'manual_verifying'"),
        )
        batch_op.create_index(
            "ix_jobs_state",
            ["project_id", "state", "id"],
            unique=False,
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.create_index(
            "ix_jobs_waiting",
            ["pool", "project_id", sa.literal_column("priority DESC"), "due_at"],
            unique=False,
            postgresql_where=sa.text("effect = 'dispatch' AND lease_token IS NULL AND deleted_at IS NULL"),
            sqlite_where=sa.text("effect = 'dispatch' AND lease_token IS NULL AND deleted_at IS NULL"),
        )

    op.create_table(
        "media",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("file_id", sa.String(length=64), nullable=True),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("title", sa.String(length=256), server_default="", nullable=False),
        sa.Column("input_url", sa.Text(), nullable=True),
        sa.Column("reference_id", sa.String(length=64), nullable=True),
        sa.Column("attributes", JSON, server_default="{}", nullable=False),
        sa.Column("facts", JSON, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("deleted_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_media_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("project_id", "reference_id", name=op.f("uq_media_project_id_reference_id")),
    )
    with op.batch_alter_table("media", schema=None) as batch_op:
        batch_op.create_index("ix_media_project", ["project_id", "id"], unique=False)

    op.create_table(
        "asset_files",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("asset_id", sa.String(length=64), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("key", sa.String(length=256), nullable=False),
        sa.Column("content_type", sa.String(length=128), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name=op.f("fk_asset_files_asset_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset_files")),
        sa.UniqueConstraint("asset_id", "name", name=op.f("uq_asset_files_asset_id_name")),
    )
    with op.batch_alter_table("asset_files", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_asset_files_asset_id"), ["asset_id"], unique=False)

    op.create_table(
        "comments",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_comments_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_comments")),
    )
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_comments_job_id"), ["job_id"], unique=False)

    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("handle", sa.Text(), nullable=True),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("progress", sa.Float(), nullable=True),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("artefacts", JSON, server_default="[]", nullable=False),
        sa.Column("metrics", JSON, server_default="{}", nullable=False),
        sa.Column("heartbeat_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("cancel_at", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("superseded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("tidied", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint(
            "outcome IN ('starting', 'running', 'succeeded', 'failed', 'cancelled')", name=op.f("ck_runs_outcome")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_runs_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("job_id", "stage", "attempt", name=op.f("uq_runs_job_id_stage_attempt")),
        sa.UniqueConstraint("key", name=op.f("uq_runs_key")),
    )
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_runs_due",
            ["due_at"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_pool",
            ["pool", "project_id"],
            unique=False,
            postgresql_where=sa.text("due_at IS NOT NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_runs_left",
            ["ended_at"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NOT NULL AND tidied IS false AND outcome != 'succeeded'"),
            sqlite_where=sa.text("ended_at IS NOT NULL AND tidied IS 0 AND outcome != 'succeeded'"),
        )


def downgrade() -> None:
    with op.batch_alter_table("runs", schema=None) as batch_op:
        batch_op.drop_index("ix_runs_left")
        batch_op.drop_index(
            "ix_runs_pool", postgresql_where=sa.text("due_at IS NOT NULL"), sqlite_where=sa.text("due_at IS NOT NULL")
        )
        batch_op.drop_index(
            "ix_runs_due", postgresql_where=sa.text("due_at IS NOT NULL"), sqlite_where=sa.text("due_at IS NOT NULL")
        )

    op.drop_table("runs")
    with op.batch_alter_table("comments", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_comments_job_id"))

    op.drop_table("comments")
    with op.batch_alter_table("asset_files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_asset_files_asset_id"))

    op.drop_table("asset_files")
    with op.batch_alter_table("media", schema=None) as batch_op:
        batch_op.drop_index("ix_media_project")

    op.drop_table("media")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_jobs_waiting",
            postgresql_where=sa.text("effect = 'dispatch' AND lease_token IS NULL AND deleted_at IS NULL"),
            sqlite_where=sa.text("effect = 'dispatch' AND lease_token IS NULL AND deleted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_state", postgresql_where=sa.text("deleted_at IS NULL"), sqlite_where=sa.text("deleted_at IS NULL")
        )
        batch_op.drop_index(
            "ix_jobs_review",
            postgresql_where=sa.text("deleted_at IS NULL AND state = 'manual_verifying'"),
            sqlite_where=sa.text("deleted_at IS NULL AND state = 'manual_verifying'"),
        )
        batch_op.drop_index(
            "ix_jobs_project",
            postgresql_where=sa.text("deleted_at IS NULL"),
            sqlite_where=sa.text("deleted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_leased",
            postgresql_where=sa.text("lease_token IS NOT NULL"),
            sqlite_where=sa.text("lease_token IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_due",
            postgresql_where=sa.text("due_at IS NOT NULL AND lease_token IS NULL AND deleted_at IS NULL"),
            sqlite_where=sa.text("due_at IS NOT NULL AND lease_token IS NULL AND deleted_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_jobs_deleted",
            postgresql_where=sa.text("deleted_at IS NOT NULL"),
            sqlite_where=sa.text("deleted_at IS NOT NULL"),
        )

    op.drop_table("jobs")
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.drop_index("ix_assets_project")

    op.drop_table("assets")
    with op.batch_alter_table("access_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_access_keys_project_id"))

    op.drop_table("access_keys")
    op.drop_table("projects")
    with op.batch_alter_table("operation_log", schema=None) as batch_op:
        batch_op.drop_index("ix_operation_log_job")

    op.drop_table("operation_log")
    op.drop_table("leases")
    op.drop_table("job_counts")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotency_keys_expires_at"))

    op.drop_table("idempotency_keys")
    with op.batch_alter_table("files", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_files_job_id"))
        batch_op.drop_index(
            "ix_files_due", postgresql_where=sa.text("due_at IS NOT NULL"), sqlite_where=sa.text("due_at IS NOT NULL")
        )

    op.drop_table("files")
