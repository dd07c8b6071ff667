"""Add forms of posts that are being written; let changed posts be found quickly.

Revision: 0008, after 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "writing_form",
        sa.Column("token", sa.String(length=40), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.Column("touched_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["user_account.id"],
            name="fk_writing_form_user_id_user_account",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["post.id"], name="fk_writing_form_post_id_post", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("token", name="pk_writing_form"),
    )
    op.create_index("ix_writing_form_user_id", "writing_form", ["user_id", "touched_at"])
    op.create_index("ix_writing_form_post_id", "writing_form", ["post_id"])
    op.create_index("ix_post_updated_at", "post", ["updated_at"])


def downgrade() -> None:
    op.drop_index("ix_post_updated_at", table_name="post")
    op.drop_table("writing_form")
