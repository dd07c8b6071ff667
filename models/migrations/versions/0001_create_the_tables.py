"""Create the tables.

Revision: 0001

Triggers keep what is final from being changed by any program: audit events and ledger rows can
only be added; versions of posts and of terms cannot be rewritten. A later migration that rebuilds
one of these tables on SQLite (batch mode) must put its triggers back.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FINAL = {
    "audit_event": ("UPDATE", "DELETE"),
    "commitment": ("UPDATE", "DELETE"),
    "agreement_terms": ("UPDATE",),
    "post_version": ("UPDATE",),
}
"""Table → what its triggers refuse."""

TABLES = (
    "country",
    "currency",
    "term",
    "text_vector",
    "organisation",
    "task_force",
    "user_account",
    "audit_event",
    "match_run",
    "post",
    "weight_set",
    "need",
    "offer",
    "post_facet",
    "post_version",
    "run_pair",
    "support",
    "match",
    "agreement",
    "dismissal",
    "interest",
    "agreement_party",
    "agreement_terms",
    "commitment",
    "indicator",
    "milestone",
    "indicator_report",
)
"""In the order of their making: each stands after those that it refers to."""


def upgrade() -> None:
    op.create_table(
        "country",
        sa.Column("code", sa.String(length=2), nullable=False),
        sa.Column("iso3", sa.String(length=3), nullable=False),
        sa.Column("m49", sa.String(length=3), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("subregion", sa.String(length=32), nullable=True),
        sa.Column("bodies", sa.JSON(), nullable=False),
        sa.Column("least_developed", sa.Boolean(), nullable=False),
        sa.Column("small_island", sa.Boolean(), nullable=False),
        sa.Column("tile", sa.JSON(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.PrimaryKeyConstraint("code", name="pk_country"),
    )
    op.create_index("ix_country_subregion", "country", ["subregion"])
    op.create_table(
        "currency",
        sa.Column("code", sa.String(length=3), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("minor", sa.Integer(), nullable=False),
        sa.Column("usd_rate", sa.Numeric(precision=18, scale=8, asdecimal=False), nullable=False),
        sa.Column("rate_date", sa.Date(), nullable=True),
        sa.Column("rate_source", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("code", name="pk_currency"),
    )
    op.create_table(
        "term",
        sa.Column("scheme", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("parent", sa.String(length=64), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("scheme", "code", name="pk_term"),
    )
    op.create_table(
        "text_vector",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("encoder", sa.String(length=80), nullable=False),
        sa.Column("role", sa.String(length=8), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("digest", "encoder", "role", name="pk_text_vector"),
    )
    op.create_table(
        "organisation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=True),
        sa.Column("names", sa.JSON(), nullable=False),
        sa.Column("acronym", sa.String(length=32), nullable=True),
        sa.Column("aliases", sa.JSON(), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["country_code"], ["country.code"], name="fk_organisation_country_code_country"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_organisation"),
        sa.UniqueConstraint("code", name="uq_organisation_code"),
    )
    op.create_index("ix_organisation_country_code", "organisation", ["country_code"])
    op.create_index("ix_organisation_kind", "organisation", ["kind"])
    op.create_table(
        "task_force",
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("lead", sa.String(length=2), nullable=False),
        sa.Column("themes", sa.JSON(), nullable=False),
        sa.Column("objectives", sa.JSON(), nullable=False),
        sa.Column("activities", sa.JSON(), nullable=False),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.Column("region_members", sa.JSON(), nullable=False),
        sa.Column("meetings", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_task_force_organisation_id_organisation",
        ),
        sa.PrimaryKeyConstraint("organisation_id", name="pk_task_force"),
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("subregion", sa.String(length=32), nullable=True),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_in_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_user_account_organisation_id_organisation",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_user_account"),
        sa.UniqueConstraint("email", name="uq_user_account_email"),
    )
    op.create_index("ix_user_account_organisation_id", "user_account", ["organisation_id"])
    op.create_table(
        "audit_event",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("action", sa.String(length=48), nullable=False),
        sa.Column("entity", sa.String(length=32), nullable=False),
        sa.Column("entity_id", sa.Integer(), nullable=True),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name="fk_audit_event_user_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_event"),
    )
    op.create_index("ix_audit_event_action", "audit_event", ["action"])
    op.create_index("ix_audit_event_at", "audit_event", ["at"])
    op.create_index("ix_audit_event_entity", "audit_event", ["entity", "entity_id"])
    op.create_table(
        "match_run",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("engine_version", sa.String(length=40), nullable=False),
        sa.Column("text_version", sa.String(length=120), nullable=False),
        sa.Column("weights", sa.JSON(), nullable=False),
        sa.Column("input_digest", sa.String(length=64), nullable=False),
        sa.Column("result_digest", sa.String(length=64), nullable=False),
        sa.Column("needs", sa.Integer(), nullable=False),
        sa.Column("offers", sa.Integer(), nullable=False),
        sa.Column("eligible_pairs", sa.Integer(), nullable=False),
        sa.Column("matches", sa.Integer(), nullable=False),
        sa.Column("unmet_needs", sa.Integer(), nullable=False),
        sa.Column("unused_offers", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("need_ids", sa.JSON(), nullable=False),
        sa.Column("offer_ids", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_match_run_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_match_run"),
    )
    op.create_table(
        "post",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("translations", sa.JSON(), nullable=False),
        sa.Column("dimension", sa.String(length=8), nullable=True),
        sa.Column("level", sa.String(length=16), nullable=True),
        sa.Column("horizon", sa.String(length=8), nullable=True),
        sa.Column("starts", sa.Date(), nullable=True),
        sa.Column("ends", sa.Date(), nullable=True),
        sa.Column("closes", sa.Date(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("contact_role", sa.String(length=120), nullable=False),
        sa.Column("contact_email", sa.String(length=254), nullable=False),
        sa.Column("source", sa.JSON(), nullable=False),
        sa.Column("illustrative", sa.JSON(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["author_id"], ["user_account.id"], name="fk_post_author_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisation.id"], name="fk_post_organisation_id_organisation"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_post"),
        sa.UniqueConstraint("reference", name="uq_post_reference"),
    )
    op.create_index("ix_post_kind_status", "post", ["kind", "status", "published_at"])
    op.create_index("ix_post_organisation_id", "post", ["organisation_id"])
    op.create_table(
        "weight_set",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=True),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_weight_set_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_weight_set"),
    )
    op.create_table(
        "need",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("country_code", sa.String(length=2), nullable=True),
        sa.Column("subregion", sa.String(length=32), nullable=True),
        sa.Column("localities", sa.JSON(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        sa.Column("beneficiaries", sa.Integer(), nullable=True),
        sa.Column("places_wanted", sa.Integer(), nullable=True),
        sa.Column("places_covered", sa.Integer(), nullable=False),
        sa.Column("money_least", sa.BigInteger(), nullable=True),
        sa.Column("money_most", sa.BigInteger(), nullable=True),
        sa.Column("money_covered", sa.BigInteger(), nullable=False),
        sa.Column("money_sealed", sa.Boolean(), nullable=False),
        sa.Column("cofinancing", sa.BigInteger(), nullable=True),
        sa.Column("existing", sa.Text(), nullable=False),
        sa.Column("elsewhere", sa.Text(), nullable=False),
        sa.Column("endorsed_by_id", sa.Integer(), nullable=True),
        sa.Column("endorsed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("money_covered >= 0", name=op.f("ck_need_money_covered_not_negative")),
        sa.CheckConstraint(
            "money_least IS NULL OR money_most IS NULL OR money_least <= money_most",
            name=op.f("ck_need_money_in_order"),
        ),
        sa.CheckConstraint("places_covered >= 0", name=op.f("ck_need_places_covered_not_negative")),
        sa.CheckConstraint(
            "places_wanted IS NULL OR places_wanted > 0", name=op.f("ck_need_places_positive")
        ),
        sa.ForeignKeyConstraint(
            ["country_code"], ["country.code"], name="fk_need_country_code_country"
        ),
        sa.ForeignKeyConstraint(
            ["endorsed_by_id"], ["user_account.id"], name="fk_need_endorsed_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(["id"], ["post.id"], name="fk_need_id_post", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_need"),
    )
    op.create_index("ix_need_country_code", "need", ["country_code"])
    op.create_table(
        "offer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("own_country", sa.Boolean(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=True),
        sa.Column("places_per_beneficiary", sa.Integer(), nullable=True),
        sa.Column("places_committed", sa.Integer(), nullable=False),
        sa.Column("money", sa.BigInteger(), nullable=True),
        sa.Column("grant_least", sa.BigInteger(), nullable=True),
        sa.Column("grant_most", sa.BigInteger(), nullable=True),
        sa.Column("money_committed", sa.BigInteger(), nullable=False),
        sa.Column("free", sa.Boolean(), nullable=True),
        sa.Column("how_to_apply", sa.Text(), nullable=False),
        sa.Column("opens", sa.Date(), nullable=True),
        sa.Column("experience_countries", sa.JSON(), nullable=False),
        sa.Column("experience_projects", sa.Text(), nullable=False),
        sa.Column("pilot_hosted", sa.Boolean(), nullable=True),
        sa.Column("pilot_brings", sa.Text(), nullable=False),
        sa.CheckConstraint("money IS NULL OR money >= 0", name=op.f("ck_offer_money_not_negative")),
        sa.CheckConstraint(
            "money IS NULL OR money_committed <= money", name=op.f("ck_offer_money_not_oversold")
        ),
        sa.CheckConstraint(
            "money_committed >= 0", name=op.f("ck_offer_money_committed_not_negative")
        ),
        sa.CheckConstraint(
            "places IS NULL OR places >= 0", name=op.f("ck_offer_places_not_negative")
        ),
        sa.CheckConstraint(
            "places IS NULL OR places_committed <= places",
            name=op.f("ck_offer_places_not_oversold"),
        ),
        sa.CheckConstraint("places_committed >= 0", name=op.f("ck_offer_committed_not_negative")),
        sa.ForeignKeyConstraint(["id"], ["post.id"], name="fk_offer_id_post", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_offer"),
    )
    op.create_table(
        "post_facet",
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("facet", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["post_id"], ["post.id"], name="fk_post_facet_post_id_post", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("post_id", "facet", "code", name="pk_post_facet"),
    )
    op.create_index("ix_post_facet_facet_code", "post_facet", ["facet", "code", "post_id"])
    op.create_table(
        "post_version",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["author_id"], ["user_account.id"], name="fk_post_version_author_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["post_id"], ["post.id"], name="fk_post_version_post_id_post", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_post_version"),
        sa.UniqueConstraint("post_id", "number", name="uq_post_version_post_id_number"),
    )
    op.create_index("ix_post_version_post_id", "post_version", ["post_id"])
    op.create_table(
        "run_pair",
        sa.Column("run_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("band", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["need_id"], ["post.id"], name="fk_run_pair_need_id_post"),
        sa.ForeignKeyConstraint(["offer_id"], ["post.id"], name="fk_run_pair_offer_id_post"),
        sa.ForeignKeyConstraint(
            ["run_id"], ["match_run.id"], name="fk_run_pair_run_id_match_run", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "need_id", "offer_id", name="pk_run_pair"),
    )
    op.create_index("ix_run_pair_run_need", "run_pair", ["run_id", "need_id", "rank"])
    op.create_index("ix_run_pair_run_offer", "run_pair", ["run_id", "offer_id"])
    op.create_index("ix_run_pair_run_score", "run_pair", ["run_id", "score"])
    op.create_table(
        "support",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("post_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("modality", sa.String(length=32), nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["post_id"], ["post.id"], name="fk_support_post_id_post", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_support"),
    )
    op.create_index("ix_support_kind", "support", ["kind", "post_id"])
    op.create_index("ix_support_post_id", "support", ["post_id"])
    op.create_table(
        "match",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_match_need_id_need"),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name="fk_match_offer_id_offer"),
        sa.PrimaryKeyConstraint("id", name="pk_match"),
        sa.UniqueConstraint("need_id", "offer_id", name="uq_match_need_id_offer_id"),
    )
    op.create_index("ix_match_need_id", "match", ["need_id"])
    op.create_index("ix_match_offer_id", "match", ["offer_id"])
    op.create_table(
        "agreement",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=32), nullable=False),
        sa.Column("match_id", sa.Integer(), nullable=True),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closing_report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["match_id"], ["match.id"], name="fk_agreement_match_id_match"),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_agreement_need_id_need"),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name="fk_agreement_offer_id_offer"),
        sa.PrimaryKeyConstraint("id", name="pk_agreement"),
        sa.UniqueConstraint("reference", name="uq_agreement_reference"),
    )
    op.create_index("ix_agreement_match_id", "agreement", ["match_id"])
    op.create_index("ix_agreement_need_id", "agreement", ["need_id"])
    op.create_index("ix_agreement_offer_id", "agreement", ["offer_id"])
    op.create_index("ix_agreement_status", "agreement", ["status"])
    op.create_table(
        "dismissal",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("match_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("need_version", sa.Integer(), nullable=False),
        sa.Column("offer_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_dismissal_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["match_id"], ["match.id"], name="fk_dismissal_match_id_match", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dismissal"),
    )
    op.create_index("ix_dismissal_match_id", "dismissal", ["match_id"])
    op.create_table(
        "interest",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("match_id", sa.Integer(), nullable=False),
        sa.Column("side", sa.String(length=5), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("share", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.String(length=8), nullable=True),
        sa.Column("answer_reason", sa.String(length=32), nullable=True),
        sa.Column("answer_message", sa.Text(), nullable=False),
        sa.Column("answered_by_id", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["answered_by_id"], ["user_account.id"], name="fk_interest_answered_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_interest_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["match_id"], ["match.id"], name="fk_interest_match_id_match", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_interest"),
    )
    op.create_index("ix_interest_match_id", "interest", ["match_id"])
    op.create_table(
        "agreement_party",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("accepted_number", sa.Integer(), nullable=True),
        sa.Column("signed_by_id", sa.Integer(), nullable=True),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_agreement_party_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisation.id"],
            name="fk_agreement_party_organisation_id_organisation",
        ),
        sa.ForeignKeyConstraint(
            ["signed_by_id"],
            ["user_account.id"],
            name="fk_agreement_party_signed_by_id_user_account",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_agreement_party"),
        sa.UniqueConstraint(
            "agreement_id",
            "organisation_id",
            name="uq_agreement_party_agreement_id_organisation_id",
        ),
    )
    op.create_index("ix_agreement_party_agreement_id", "agreement_party", ["agreement_id"])
    op.create_index("ix_agreement_party_organisation_id", "agreement_party", ["organisation_id"])
    op.create_table(
        "agreement_terms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("author_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("activities", sa.Text(), nullable=False),
        sa.Column("need_side_duties", sa.Text(), nullable=False),
        sa.Column("offer_side_duties", sa.Text(), nullable=False),
        sa.Column("starts", sa.Date(), nullable=False),
        sa.Column("ends", sa.Date(), nullable=False),
        sa.Column("places", sa.Integer(), nullable=True),
        sa.Column("money", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("support_kinds", sa.JSON(), nullable=False),
        sa.Column("milestones", sa.JSON(), nullable=False),
        sa.Column("indicators", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "money IS NULL OR money >= 0", name=op.f("ck_agreement_terms_money_not_negative")
        ),
        sa.CheckConstraint(
            "places IS NULL OR places >= 0", name=op.f("ck_agreement_terms_places_not_negative")
        ),
        sa.CheckConstraint("starts <= ends", name=op.f("ck_agreement_terms_period_in_order")),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_agreement_terms_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["author_id"], ["user_account.id"], name="fk_agreement_terms_author_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_agreement_terms"),
        sa.UniqueConstraint(
            "agreement_id", "number", name="uq_agreement_terms_agreement_id_number"
        ),
    )
    op.create_table(
        "commitment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("need_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("places", sa.Integer(), nullable=False),
        sa.Column("money", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("need_money", sa.BigInteger(), nullable=False),
        sa.Column("need_currency", sa.String(length=3), nullable=True),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("rate_date", sa.Date(), nullable=True),
        sa.Column("rate_source", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind = 'commit' AND places >= 0 AND money >= 0 AND need_money >= 0) OR (kind = 'return' AND places <= 0 AND money <= 0 AND need_money <= 0)",
            name=op.f("ck_commitment_sign_of_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["agreement_id"], ["agreement.id"], name="fk_commitment_agreement_id_agreement"
        ),
        sa.ForeignKeyConstraint(["need_id"], ["need.id"], name="fk_commitment_need_id_need"),
        sa.ForeignKeyConstraint(["offer_id"], ["offer.id"], name="fk_commitment_offer_id_offer"),
        sa.PrimaryKeyConstraint("id", name="pk_commitment"),
    )
    op.create_index("ix_commitment_agreement_id", "commitment", ["agreement_id"])
    op.create_index("ix_commitment_need_id", "commitment", ["need_id"])
    op.create_index("ix_commitment_offer_id", "commitment", ["offer_id"])
    op.create_table(
        "indicator",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("unit", sa.String(length=60), nullable=False),
        sa.Column("baseline", sa.Double(), nullable=True),
        sa.Column("target", sa.Double(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_indicator_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_indicator"),
    )
    op.create_index("ix_indicator_agreement_id", "indicator", ["agreement_id"])
    op.create_table(
        "milestone",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("agreement_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("due", sa.Date(), nullable=False),
        sa.Column("done_on", sa.Date(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("done_by_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["agreement_id"],
            ["agreement.id"],
            name="fk_milestone_agreement_id_agreement",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["done_by_id"], ["user_account.id"], name="fk_milestone_done_by_id_user_account"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_milestone"),
    )
    op.create_index("ix_milestone_agreement_id", "milestone", ["agreement_id"])
    op.create_table(
        "indicator_report",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("indicator_id", sa.Integer(), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["by_id"], ["user_account.id"], name="fk_indicator_report_by_id_user_account"
        ),
        sa.ForeignKeyConstraint(
            ["indicator_id"],
            ["indicator.id"],
            name="fk_indicator_report_indicator_id_indicator",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_indicator_report"),
    )
    op.create_index("ix_indicator_report_indicator_id", "indicator_report", ["indicator_id"])
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgres()


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_change()")


def _guard_sqlite() -> None:
    for table, refused in FINAL.items():
        for change in refused:
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is final'); END"
            )


def _guard_postgres() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is final', TG_TABLE_NAME
                USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """
    )
    for table, refused in FINAL.items():
        for change in refused:
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        if "DELETE" in refused:
            op.execute(
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
            )
