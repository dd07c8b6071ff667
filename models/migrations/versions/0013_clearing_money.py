"""Keep the money of proposals and of donors, kinds that are covered, and offers for groups.

Revision: 0013, after 0012

The kinds that standing agreements cover are read off their newest terms.
"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

GIVES_SOMETHING = "places >= 0 AND (places > 0 OR (money IS NOT NULL AND money > 0))"


def upgrade() -> None:
    # Without batches, which would make the tables anew and lose what guards the terms.
    op.add_column(
        "need",
        sa.Column("kinds_covered", sa.JSON(), nullable=False, server_default=sa.text("'[]'")),
    )
    op.add_column("offer", sa.Column("places_least", sa.Integer(), nullable=True))
    op.add_column(
        "agreement_terms",
        sa.Column("beyond_need", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    with op.batch_alter_table("agreement_party") as table:
        table.add_column(sa.Column("money", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("currency", sa.String(length=3), nullable=True))
        table.add_column(sa.Column("offer_id", sa.Integer(), nullable=True))
        table.create_foreign_key("fk_agreement_party_offer_id_offer", "offer", ["offer_id"], ["id"])
        table.create_index("ix_agreement_party_offer_id", ["offer_id"])
        table.create_check_constraint(
            op.f("ck_agreement_party_money_has_currency"),
            "money IS NULL OR (money > 0 AND currency IS NOT NULL)",
        )
    with op.batch_alter_table("round_proposal") as table:
        table.add_column(sa.Column("money", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("currency", sa.String(length=3), nullable=True))
        table.add_column(sa.Column("need_money", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("need_currency", sa.String(length=3), nullable=True))
        table.add_column(sa.Column("rate", sa.Double(), nullable=True))
        table.add_column(sa.Column("rate_date", sa.Date(), nullable=True))
        table.add_column(sa.Column("rate_source", sa.Text(), nullable=False, server_default=""))
        table.drop_constraint(op.f("ck_round_proposal_places_positive"), type_="check")
        table.create_check_constraint(op.f("ck_round_proposal_gives_something"), GIVES_SOMETHING)
        table.create_check_constraint(
            op.f("ck_round_proposal_money_has_currency"),
            "money IS NULL OR (money >= 0 AND currency IS NOT NULL)",
        )
    with op.batch_alter_table("commitment") as table:
        table.add_column(sa.Column("party_id", sa.Integer(), nullable=True))
        table.create_foreign_key(
            "fk_commitment_party_id_agreement_party", "agreement_party", ["party_id"], ["id"]
        )
        table.create_index("ix_commitment_party_id", ["party_id"])
        table.alter_column("offer_id", existing_type=sa.Integer(), nullable=True)
    _guard_ledger()
    _mark_kinds_covered()


def downgrade() -> None:
    """Contributions that no offer holds, and proposals of money alone, are not kept."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        op.execute("DROP TRIGGER commitment_no_delete")
    else:
        op.execute("ALTER TABLE commitment DISABLE TRIGGER commitment_no_delete")
    op.execute("DELETE FROM commitment WHERE offer_id IS NULL")
    if connection.dialect.name != "sqlite":
        op.execute("ALTER TABLE commitment ENABLE TRIGGER commitment_no_delete")
    with op.batch_alter_table("commitment") as table:
        table.alter_column("offer_id", existing_type=sa.Integer(), nullable=False)
        table.drop_index("ix_commitment_party_id")
        table.drop_constraint("fk_commitment_party_id_agreement_party", type_="foreignkey")
        table.drop_column("party_id")
    _guard_ledger()
    op.execute(
        "DELETE FROM proposal_answer WHERE proposal_id IN "
        "(SELECT id FROM round_proposal WHERE places = 0)"
    )
    op.execute("DELETE FROM round_proposal WHERE places = 0")
    with op.batch_alter_table("round_proposal") as table:
        table.drop_constraint(op.f("ck_round_proposal_money_has_currency"), type_="check")
        table.drop_constraint(op.f("ck_round_proposal_gives_something"), type_="check")
        table.create_check_constraint(op.f("ck_round_proposal_places_positive"), "places > 0")
        for name in (
            "rate_source", "rate_date", "rate", "need_currency", "need_money", "currency", "money",
        ):  # fmt: skip
            table.drop_column(name)
    with op.batch_alter_table("agreement_party") as table:
        table.drop_constraint(op.f("ck_agreement_party_money_has_currency"), type_="check")
        table.drop_index("ix_agreement_party_offer_id")
        table.drop_constraint("fk_agreement_party_offer_id_offer", type_="foreignkey")
        for name in ("offer_id", "currency", "money"):
            table.drop_column(name)
    op.drop_column("agreement_terms", "beyond_need")
    op.drop_column("offer", "places_least")
    op.drop_column("need", "kinds_covered")


def _guard_ledger() -> None:
    """Refuse changes of the ledger again, where the table was made anew (see 0001)."""
    if op.get_bind().dialect.name != "sqlite":
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER commitment_no_{change.lower()} BEFORE {change} ON commitment "
            "BEGIN SELECT RAISE(ABORT, 'commitment is final'); END"
        )


def _mark_kinds_covered() -> None:
    connection = op.get_bind()
    agreements = connection.execute(
        sa.text(
            "SELECT a.need_id, a.offer_id, t.support_kinds FROM agreement a "
            "JOIN agreement_terms t ON t.agreement_id = a.id AND t.number = "
            "(SELECT MAX(number) FROM agreement_terms WHERE agreement_id = a.id) "
            "WHERE a.status IN ('signed', 'active', 'completed')"
        )
    ).all()
    kind_of: dict[str, str | None] = dict(
        connection.execute(
            sa.text("SELECT code, parent FROM term WHERE scheme = 'support_kind'")
        ).all()
    )
    supports: dict[int, set[str]] = {}
    for post_id, kind in connection.execute(sa.text("SELECT post_id, kind FROM support")):
        supports.setdefault(post_id, set()).add(kind)
    covered: dict[int, set[str]] = {}
    for need_id, offer_id, named in agreements:
        listed = json.loads(named) if isinstance(named, str) else named
        codes = listed or supports.get(offer_id, ())
        kinds = {kind_of.get(code) or code for code in codes} & supports.get(need_id, set())
        covered.setdefault(need_id, set()).update(kinds)
    for need_id, kinds in covered.items():
        connection.execute(
            sa.text("UPDATE need SET kinds_covered = :kinds WHERE id = :id"),
            {"kinds": json.dumps(sorted(kinds)), "id": need_id},
        )
