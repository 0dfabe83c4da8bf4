"""Assets of people: labels, order, shares, the recycle bin; files with states; single-use tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.adapters.db.types import JSON, Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ALIVE = sa.text("deleted_at IS NULL")
_DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    with op.batch_alter_table("assets") as assets:
        assets.add_column(sa.Column("app_user_id", sa.String(256)))
        assets.add_column(sa.Column("tags", JSON, nullable=False, server_default="[]"))
        assets.add_column(sa.Column("asset_order", sa.Integer(), nullable=False, server_default="0"))
        assets.add_column(sa.Column("due_at", Instant()))
    op.create_index("ix_assets_due", "assets", ["due_at"], postgresql_where=_DUE, sqlite_where=_DUE)
    with op.batch_alter_table("asset_files") as asset_files:
        asset_files.add_column(sa.Column("state", sa.String(16), nullable=False, server_default="created"))
        asset_files.add_column(sa.Column("md5", sa.String(24)))
        asset_files.add_column(sa.Column("file_type", sa.String(64), nullable=False, server_default=""))
        asset_files.add_column(sa.Column("facts", JSON, nullable=False, server_default="{}"))
        asset_files.add_column(sa.Column("reason", sa.Text(), nullable=False, server_default=""))
        asset_files.drop_constraint("uq_asset_files_asset_id_name", type_="unique")
    op.create_table(
        "asset_shares",
        sa.Column("asset_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["asset_id"], ["assets.id"], name="fk_asset_shares_asset_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("asset_id", "project_id", name="pk_asset_shares"),
    )
    op.create_index("ix_asset_shares_project_id", "asset_shares", ["project_id"])
    op.create_table(
        "once_tokens",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(64), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_once_tokens"),
    )
    op.create_index("ix_once_tokens_expires_at", "once_tokens", ["expires_at"])
    op.create_index(
        "ix_jobs_updated", "jobs", ["project_id", "user_updated_at", "id"], postgresql_where=_ALIVE, sqlite_where=_ALIVE
    )


def downgrade() -> None:
    op.drop_index("ix_jobs_updated", "jobs")
    op.drop_table("once_tokens")
    op.drop_table("asset_shares")
    with op.batch_alter_table("asset_files") as asset_files:
        asset_files.create_unique_constraint("uq_asset_files_asset_id_name", ["asset_id", "name"])
        for name in ("reason", "facts", "file_type", "md5", "state"):
            asset_files.drop_column(name)
    op.drop_index("ix_assets_due", "assets")
    with op.batch_alter_table("assets") as assets:
        for name in ("due_at", "asset_order", "tags", "app_user_id"):
            assets.drop_column(name)
