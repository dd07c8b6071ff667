"""Let an organisation say which other one it is, once the two are merged.

Revision: 0014, after 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("organisation") as table:
        table.add_column(sa.Column("merged_into_id", sa.Integer(), nullable=True))
        table.create_foreign_key(
            "fk_organisation_merged_into_id_organisation",
            "organisation",
            ["merged_into_id"],
            ["id"],
        )
        table.create_index("ix_organisation_merged_into_id", ["merged_into_id"])


def downgrade() -> None:
    """Organisations that were merged away stand without posts and people."""
    with op.batch_alter_table("organisation") as table:
        table.drop_index("ix_organisation_merged_into_id")
        table.drop_constraint("fk_organisation_merged_into_id_organisation", type_="foreignkey")
        table.drop_column("merged_into_id")
