"""Let an import see who edited a post since, and keep what the file says meanwhile.

Revision: 0016, after 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of rows that were loaded before, every edit counts as one since."""
    with op.batch_alter_table("imported_row") as table:
        table.add_column(sa.Column("event_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("waiting", sa.JSON(), nullable=True))
    with op.batch_alter_table("import_file") as table:
        table.add_column(sa.Column("kept", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("import_file") as table:
        table.alter_column("kept", server_default=None)


def downgrade() -> None:
    """What waits for a decision is gone; the next file brings it again."""
    with op.batch_alter_table("import_file") as table:
        table.drop_column("kept")
    with op.batch_alter_table("imported_row") as table:
        table.drop_column("waiting")
        table.drop_column("event_id")
