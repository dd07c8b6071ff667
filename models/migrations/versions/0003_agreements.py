"""Add several parties, kinds, ratings and documents to agreements.

Revision: 0003, after 0002

Agreements that stand already are cooperation agreements whose parties show everything.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agreement") as table:
        table.add_column(
            sa.Column("kind", sa.String(length=12), nullable=False, server_default="cooperation")
        )
        table.create_index("ix_agreement_kind", ["kind"])
    with op.batch_alter_table("agreement_party") as table:
        table.add_column(sa.Column("contribution", sa.Text(), nullable=False, server_default=""))
        for name in ("shows_money", "shows_activities"):
            table.add_column(
                sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.true())
            )
    op.create_table(
        "agreement_rating",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("ck_agreement_rating_score_range")),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_agreement_rating_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_agreement_rating_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_agreement_rating_organisation_id_organisation",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_agreement_rating"),
        sa.UniqueConstraint(
            "agreement_id",
            "organisation_id",
            name="uq_agreement_rating_agreement_id_organisation_id",
        ),
    )
    op.create_index("ix_agreement_rating_organisation_id", "agreement_rating", ["organisation_id"])
    op.create_table(
        "document",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=160), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("public", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_document_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_document_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_document_organisation_id_organisation",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_document"),
        sa.UniqueConstraint("agreement_id", "digest", name="uq_document_agreement_id_digest"),
    )


def downgrade() -> None:
    op.drop_table("document")
    op.drop_table("agreement_rating")
    with op.batch_alter_table("agreement_party") as table:
        for name in ("shows_activities", "shows_money", "contribution"):
            table.drop_column(name)
    with op.batch_alter_table("agreement") as table:
        table.drop_index("ix_agreement_kind")
        table.drop_column("kind")
