"""Add clearing rounds, their proposals, and pools of needs.

Revision: 0002, after 0001

A version of a round is final: triggers refuse to change or to delete one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    "clearing_round",
    "round_version",
    "need_pool",
    "round_proposal",
    "round_rule",
    "pool_member",
    "proposal_answer",
)
"""In the order of their making: each stands after those that it refers to."""


def upgrade() -> None:
    op.create_table(
        "clearing_round",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("policy", sa.String(length=8), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("floors", sa.JSON(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_clearing_round_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_clearing_round"),
    )
    op.create_index("ix_clearing_round_status", "clearing_round", ["status"])

    op.create_table(
        "round_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("given", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("given_digest", sa.String(length=64), nullable=False),
        sa.Column("result_digest", sa.String(length=64), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_round_version_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["clearing_round.id"], name="fk_round_version_round_id_clearing_round"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_version"),
        sa.UniqueConstraint("round_id", "number", name="uq_round_version_round_id_number"),
    )
    op.create_table(
        "need_pool",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subregion", sa.String(length=32), nullable=False),
        sa.Column("likeness", sa.Double(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=True),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_need_pool_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_need_pool_need_id_need"),
        sa.PrimaryKeyConstraint("id", name="pk_need_pool"),
    )
    op.create_index("ix_need_pool_need_id", "need_pool", ["need_id"])
    op.create_index("ix_need_pool_status", "need_pool", ["status"])

    op.create_table(
        "round_proposal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("places > 0", name=op.f("ck_round_proposal_places_positive")),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_round_proposal_need_id_need"),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["offer.id"], name="fk_round_proposal_offer_id_offer"
        ),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["clearing_round.id"],
            name="fk_round_proposal_round_id_clearing_round",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_proposal"),
        sa.UniqueConstraint(
            "round_id", "need_id", "offer_id", name="uq_round_proposal_round_id_need_id_offer_id"
        ),
    )
    op.create_index("ix_round_proposal_need_id", "round_proposal", ["need_id"])
    op.create_index("ix_round_proposal_offer_id", "round_proposal", ["offer_id"])
    op.create_index("ix_round_proposal_status", "round_proposal", ["status"])

    op.create_table(
        "round_rule",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("round_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('forced', 'forbidden')", name=op.f("ck_round_rule_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_round_rule_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_round_rule_need_id_need"),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name="fk_round_rule_offer_id_offer"),
        sa.ForeignKeyConstraint(
            ["round_id"],
            ["clearing_round.id"],
            name="fk_round_rule_round_id_clearing_round",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_round_rule"),
        sa.UniqueConstraint(
            "round_id", "need_id", "offer_id", name="uq_round_rule_round_id_need_id_offer_id"
        ),
    )
    op.create_index("ix_round_rule_need_id", "round_rule", ["need_id"])
    op.create_index("ix_round_rule_offer_id", "round_rule", ["offer_id"])

    op.create_table(
        "pool_member",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("pool_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_pool_member_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_pool_member_need_id_need"),
        sa.ForeignKeyConstraint(
            ["pool_id"],
            ["need_pool.id"],
            name="fk_pool_member_pool_id_need_pool",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pool_member"),
        sa.UniqueConstraint("pool_id", "need_id", name="uq_pool_member_pool_id_need_id"),
    )
    op.create_index("ix_pool_member_need_id", "pool_member", ["need_id"])

    op.create_table(
        "proposal_answer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("proposal_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("accept", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_proposal_answer_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["proposal_id"],
            ["round_proposal.id"],
            name="fk_proposal_answer_proposal_id_round_proposal",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_proposal_answer"),
        sa.UniqueConstraint("proposal_id", "side", name="uq_proposal_answer_proposal_id_side"),
    )
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER round_version_no_{change.lower()} BEFORE {change} ON round_version "
                "BEGIN SELECT RAISE(ABORT, 'round_version is final'); END"
            )
    else:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER round_version_no_{change.lower()} BEFORE {change} ON round_version "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        op.execute(
            "CREATE TRIGGER round_version_no_truncate BEFORE TRUNCATE ON round_version "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
