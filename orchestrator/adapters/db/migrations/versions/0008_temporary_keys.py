"""Temporary keys, whose signatures count only beside their token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("access_keys") as access_keys:
        access_keys.add_column(sa.Column("is_temporary", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("access_keys") as access_keys:
        access_keys.drop_column("is_temporary")
