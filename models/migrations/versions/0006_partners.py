"""Add pairings, invitations to pilots, conflicts of interest, delegates and parts of a need.

Revision: 0006, after 0005

Offers that stand already keep their amounts open, and interests say nothing of places or money.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

CHECKS = {
    "share_range": "share IS NULL OR share BETWEEN 1 AND 100",
    "places_positive": "places IS NULL OR places > 0",
    "money_positive": "money IS NULL OR money > 0",
}


def upgrade() -> None:
    _pairing()
    _invitation()
    _conflict()
    with op.batch_alter_table("interest") as table:
        table.add_column(sa.Column("places", sa.Integer(), nullable=True))
        table.add_column(sa.Column("money", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("currency", sa.String(length=3), nullable=True))
        for name, rule in CHECKS.items():
            table.create_check_constraint(op.f(f"ck_interest_{name}"), rule)
    with op.batch_alter_table("offer") as table:
        table.add_column(
            sa.Column("money_sealed", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("user_account") as table:
        table.add_column(
            sa.Column("ministry", sa.String(length=160), nullable=False, server_default="")
        )
    with op.batch_alter_table("task_force") as table:
        table.add_column(sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True))


def _pairing() -> None:
    op.create_table(
        "pairing",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["need_id"], ["need.id"], name="fk_pairing_need_id_need", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["offer.id"], name="fk_pairing_offer_id_offer", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_pairing_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pairing"),
        sa.UniqueConstraint("need_id", "offer_id", name="uq_pairing_need_id_offer_id"),
    )
    op.create_index("ix_pairing_need_id", "pairing", ["need_id"])
    op.create_index("ix_pairing_offer_id", "pairing", ["offer_id"])


def _invitation() -> None:
    op.create_table(
        "pilot_invitation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_force_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("theme", sa.String(length=64), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("answered_by_id", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["task_force_id"],
            ["organisation.id"],
            name="fk_pilot_invitation_task_force_id_organisation",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_pilot_invitation_organisation_id_organisation",
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"],
            ["offer.id"],
            name="fk_pilot_invitation_offer_id_offer",
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_pilot_invitation_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["answered_by_id"],
            ["user_account.id"],
            name="fk_pilot_invitation_answered_by_id_user_account",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pilot_invitation"),
        sa.UniqueConstraint(
            "task_force_id",
            "organisation_id",
            "theme",
            name="uq_pilot_invitation_task_force_id_organisation_id_theme",
        ),
    )
    op.create_index("ix_pilot_invitation_task_force_id", "pilot_invitation", ["task_force_id"])
    op.create_index("ix_pilot_invitation_organisation_id", "pilot_invitation", ["organisation_id"])


def _conflict() -> None:
    op.create_table(
        "conflict_of_interest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=True),
        sa.Column("post_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "(organisation_id IS NULL) <> (post_id IS NULL)",
            name=op.f("ck_conflict_of_interest_one_subject"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_conflict_of_interest_user_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_conflict_of_interest_organisation_id_organisation",
        ),
        sa.ForeignKeyConstraint(
            ["post_id"],
            ["post.id"],
            name="fk_conflict_of_interest_post_id_post",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["lifted_by_id"],
            ["user_account.id"],
            name="fk_conflict_of_interest_lifted_by_id_user_account",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_conflict_of_interest"),
    )
    op.create_index(
        "ix_conflict_of_interest_user_id_lifted_at",
        "conflict_of_interest",
        ["user_id", "lifted_at"],
    )


def downgrade() -> None:
    with op.batch_alter_table("task_force") as table:
        table.drop_column("edited_at")
    with op.batch_alter_table("user_account") as table:
        table.drop_column("ministry")
    with op.batch_alter_table("offer") as table:
        table.drop_column("money_sealed")
    with op.batch_alter_table("interest") as table:
        for name in CHECKS:
            table.drop_constraint(op.f(f"ck_interest_{name}"), type_="check")
        for name in ("currency", "money", "places"):
            table.drop_column(name)
    op.drop_table("conflict_of_interest")
    op.drop_table("pilot_invitation")
    op.drop_table("pairing")
