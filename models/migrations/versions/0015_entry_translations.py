"""Let entries of the directories carry titles and summaries in other languages, as posts do.

Revision: 0015, after 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Entries that stand already have none."""
    with op.batch_alter_table("directory_entry") as table:
        table.add_column(sa.Column("translations", sa.JSON(), nullable=False, server_default="{}"))
    with op.batch_alter_table("directory_entry") as table:
        table.alter_column("translations", server_default=None)


def downgrade() -> None:
    """What was said in other languages is gone."""
    with op.batch_alter_table("directory_entry") as table:
        table.drop_column("translations")
