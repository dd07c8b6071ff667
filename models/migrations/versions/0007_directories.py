"""Add the directories: entries with their facets, and offers that cite them.

Revision: 0007, after 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_entry",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=True),
        sa.Column("sector", sa.String(length=8), nullable=True),
        sa.Column("contact_role", sa.String(length=120), nullable=False),
        sa.Column("contact_email", sa.String(length=254), nullable=False),
        sa.Column("source_document", sa.String(length=3), nullable=True),
        sa.Column("source_line", sa.Integer(), nullable=True),
        sa.Column("source_address", sa.String(length=500), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.Column("illustrative", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("services", sa.Text(), nullable=False),
        sa.Column("certified_by_id", sa.Integer(), nullable=True),
        sa.Column("certificate", sa.String(length=80), nullable=False),
        sa.Column("maturity", sa.String(length=16), nullable=True),
        sa.Column("supplier", sa.String(length=200), nullable=False),
        sa.Column("figures", sa.JSON(), nullable=False),
        sa.Column("demonstration", sa.Boolean(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("lessons", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "source_line IS NULL OR source_line > 0",
            name=op.f("ck_directory_entry_source_line_positive"),
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name=op.f("fk_directory_entry_agreement_id_agreement"),
        ),
        sa.ForeignKeyConstraint(
            ["author_id"],
            ["user_account.id"],
            name=op.f("fk_directory_entry_author_id_user_account"),
        ),
        sa.ForeignKeyConstraint(
            ["certified_by_id"],
            ["organisation.id"],
            name=op.f("fk_directory_entry_certified_by_id_organisation"),
        ),
        sa.ForeignKeyConstraint(
            ["country_code"], ["country.code"], name=op.f("fk_directory_entry_country_code_country")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name=op.f("fk_directory_entry_organisation_id_organisation"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_directory_entry")),
        sa.UniqueConstraint("agreement_id", name=op.f("uq_directory_entry_agreement_id")),
        sa.UniqueConstraint("reference", name=op.f("uq_directory_entry_reference")),
    )
    op.create_index(
        op.f("ix_directory_entry_country_code"), "directory_entry", ["country_code"], unique=False
    )
    op.create_index(
        op.f("ix_directory_entry_organisation_id"),
        "directory_entry",
        ["organisation_id"],
        unique=False,
    )
    op.create_index(
        "ix_directory_entry_status_kind", "directory_entry", ["status", "kind"], unique=False
    )
    op.create_table(
        "citation",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name=op.f("fk_citation_by_id_user_account")
        ),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["directory_entry.id"],
            name=op.f("fk_citation_entry_id_directory_entry"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["offer_id"], ["offer.id"], name=op.f("fk_citation_offer_id_offer"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("entry_id", "offer_id", name=op.f("pk_citation")),
    )
    op.create_index(op.f("ix_citation_offer_id"), "citation", ["offer_id"], unique=False)
    op.create_table(
        "entry_facet",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("facet", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry_id"],
            ["directory_entry.id"],
            name=op.f("fk_entry_facet_entry_id_directory_entry"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("entry_id", "facet", "code", name=op.f("pk_entry_facet")),
    )
    op.create_index(
        "ix_entry_facet_facet_code", "entry_facet", ["facet", "code", "entry_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index("ix_entry_facet_facet_code", table_name="entry_facet")
    op.drop_table("entry_facet")
    op.drop_index(op.f("ix_citation_offer_id"), table_name="citation")
    op.drop_table("citation")
    op.drop_index("ix_directory_entry_status_kind", table_name="directory_entry")
    op.drop_index(op.f("ix_directory_entry_organisation_id"), table_name="directory_entry")
    op.drop_index(op.f("ix_directory_entry_country_code"), table_name="directory_entry")
    op.drop_table("directory_entry")
