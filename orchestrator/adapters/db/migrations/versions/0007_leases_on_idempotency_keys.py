"""Idempotency keys are held by a lease: a process that dies within a request does not block its key for a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from orchestrator.adapters.db.types import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.add_column(sa.Column("made_id", sa.String(64)))
        keys.add_column(sa.Column("lease_token", sa.String(32)))
        keys.add_column(sa.Column("lease_until", Instant()))


def downgrade() -> None:
    with op.batch_alter_table("idempotency_keys") as keys:
        keys.drop_column("lease_until")
        keys.drop_column("lease_token")
        keys.drop_column("made_id")
