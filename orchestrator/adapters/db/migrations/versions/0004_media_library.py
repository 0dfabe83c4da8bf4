"""The media library: media that are prepared by workers, and files that share their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.adapters.db.types import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DUE = sa.text("due_at IS NOT NULL AND deleted_at IS NULL")
_DELETED = sa.text("deleted_at IS NOT NULL")
_FINAL = sa.text("final_key IS NOT NULL")
_NEW = ("version", "place", "business_type", "reason", "due_at", "lease_token", "lease_until", "tries")


def upgrade() -> None:
    with op.batch_alter_table("media") as media:
        media.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
        media.add_column(sa.Column("place", sa.Text()))
        media.add_column(sa.Column("business_type", sa.String(32), nullable=False, server_default=""))
        media.add_column(sa.Column("reason", sa.Text(), nullable=False, server_default=""))
        media.add_column(sa.Column("due_at", Instant()))
        media.add_column(sa.Column("lease_token", sa.String(32)))
        media.add_column(sa.Column("lease_until", Instant()))
        media.add_column(sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("ix_media_place", "media", ["project_id", "place"], unique=True)
    op.create_index("ix_media_file", "media", ["file_id"])
    op.create_index("ix_media_due", "media", ["due_at"], postgresql_where=_DUE, sqlite_where=_DUE)
    op.create_index("ix_media_deleted", "media", ["deleted_at"], postgresql_where=_DELETED, sqlite_where=_DELETED)
    op.create_index("ix_files_final", "files", ["final_key"], postgresql_where=_FINAL, sqlite_where=_FINAL)


def downgrade() -> None:
    op.drop_index("ix_files_final", "files")
    for name in ("deleted", "due", "file", "place"):
        op.drop_index(f"ix_media_{name}", "media")
    with op.batch_alter_table("media") as media:
        for name in reversed(_NEW):
            media.drop_column(name)
