"""Add action plans: matrices, lines, indicators with their reports, and links.

Revision: 0010, after 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_plan",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=True),
        sa.Column("starts", sa.Integer(), nullable=False),
        sa.Column("ends", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=8), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("adopted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("starts BETWEEN 1990 AND 2100", name=op.f("ck_action_plan_cycle_year")),
        sa.ForeignKeyConstraint(
            ["country_code"], ["country.code"], name="fk_action_plan_country_code_country"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_action_plan"),
        sa.UniqueConstraint("scope", "starts", name="uq_action_plan_scope_starts"),
    )
    op.create_index("ix_action_plan_country_code", "action_plan", ["country_code"])
    op.create_table(
        "plan_line",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("plan_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("dimension", sa.String(length=1), nullable=False),
        sa.Column("horizon", sa.String(length=8), nullable=True),
        sa.Column("ilac_area", sa.String(length=2), nullable=True),
        sa.Column("themes", sa.JSON(), nullable=False),
        sa.Column("mandates", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("activities", sa.Text(), nullable=False),
        sa.Column("responsible", sa.Text(), nullable=False),
        sa.Column("resources", sa.Text(), nullable=False),
        sa.Column("other_actors", sa.Text(), nullable=False),
        sa.Column("translations", sa.JSON(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("subregion_plan_id", sa.Integer(), nullable=True),
        sa.Column("choice_reason", sa.Text(), nullable=False),
        sa.Column("chosen_by_id", sa.Integer(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "dimension IN ('1', '2', '3')", name=op.f("ck_plan_line_dimension_known")
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"],
            ["action_plan.id"],
            name="fk_plan_line_plan_id_action_plan",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subregion_plan_id"],
            ["action_plan.id"],
            name="fk_plan_line_subregion_plan_id_action_plan",
        ),
        sa.ForeignKeyConstraint(
            ["chosen_by_id"], ["user_account.id"], name="fk_plan_line_chosen_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plan_line"),
    )
    op.create_index("ix_plan_line_plan_id", "plan_line", ["plan_id"])
    op.create_index("ix_plan_line_subregion_plan_id", "plan_line", ["subregion_plan_id"])
    op.create_table(
        "plan_indicator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=400), nullable=False),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("unit", sa.String(length=60), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=True),
        sa.Column("target", sa.Double(), nullable=True),
        sa.Column("due", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["line_id"],
            ["plan_line.id"],
            name="fk_plan_indicator_line_id_plan_line",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plan_indicator"),
    )
    op.create_index("ix_plan_indicator_line_id", "plan_indicator", ["line_id"])
    op.create_table(
        "plan_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("indicator_id", sa.Integer(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["indicator_id"],
            ["plan_indicator.id"],
            name="fk_plan_report_indicator_id_plan_indicator",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_plan_report_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plan_report"),
    )
    op.create_index("ix_plan_report_indicator_id", "plan_report", ["indicator_id"])
    op.create_table(
        "plan_link",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("line_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("entity_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('need', 'offer', 'agreement')", name=op.f("ck_plan_link_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["line_id"],
            ["plan_line.id"],
            name="fk_plan_link_line_id_plan_line",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_plan_link"),
        sa.UniqueConstraint(
            "line_id", "kind", "entity_id", name="uq_plan_link_line_id_kind_entity_id"
        ),
    )
    op.create_index("ix_plan_link_line_id", "plan_link", ["line_id"])


def downgrade() -> None:
    for table in ("plan_link", "plan_report", "plan_indicator", "plan_line", "action_plan"):
        op.drop_table(table)
