"""Keep how near unmet needs came in each run, and published bulletins.

Revision: 0009, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nearest_offer",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=True),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_nearest_offer_need_id_need"),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name="fk_nearest_offer_offer_id_offer"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["match_run.id"],
            name="fk_nearest_offer_run_id_match_run",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("run_id", "need_id", name="pk_nearest_offer"),
    )
    op.create_index("ix_nearest_offer_run_score", "nearest_offer", ["run_id", "score"])
    op.create_table(
        "bulletin",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint("starts <= ends", name=op.f("ck_bulletin_period_in_order")),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_bulletin_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["match_run.id"], name="fk_bulletin_run_id_match_run"),
        sa.PrimaryKeyConstraint("id", name="pk_bulletin"),
        sa.UniqueConstraint("starts", "ends", name="uq_bulletin_starts_ends"),
    )


def downgrade() -> None:
    op.drop_table("bulletin")
    op.drop_index("ix_nearest_offer_run_score", table_name="nearest_offer")
    op.drop_table("nearest_offer")
