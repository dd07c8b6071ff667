"""The finder of pilot partners: reasons with their rows, and invitations to who has posted nothing."""

import pytest

from broker.action_plan import open_plan, save_line
from broker.directory import save_entry, submit_entry
from broker.partners import PartnerFilter, find_partners, get_partner
from broker.pilots import (
    answer_invitation,
    get_invitation,
    invitations_of,
    invite_partner,
    waiting_invitations,
)
from broker.task_forces import get_task_force
from models import Conflict, EntryKind, InvalidInput, NotAllowed, NotFound, Role
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer

pytestmark = pytest.mark.usefixtures("backend")

TOURISM = "sustainable_tourism"


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


@pytest.fixture
def officer(session):
    return make_person(session, Role.TASK_FORCE, "tf-tourism")


@pytest.fixture
def force(session):
    return get_task_force(session, "tf-tourism")


@pytest.fixture
def found(exchange, session, officer, force):
    def find(**filters):
        filters.setdefault("themes", (TOURISM,))
        rows = find_partners(exchange, session, officer, force, PartnerFilter(**filters))
        return {row.code: row for row in rows}

    return find


def reasons(row):
    return {part.name: part.micro_points / 1_000_000 for part in row.partner.reasons}


class TestFinding:
    def test_members_are_found_though_they_have_posted_nothing(self, found):
        rows = found()
        assert len([row for row in rows.values() if row.partner.candidate.kind == "country"]) == 33
        for code in ("BS", "BR", "CR", "tourism-bs", "tourism-cr"):
            assert reasons(rows[code])["membership"] == 30
        assert "membership" not in reasons(rows["PY"])

    def test_each_reason_leads_to_its_rows(self, session, found):
        need = post_need(session, "gov-py", themes=[TOURISM])
        cited = post_need(
            session, "gov-py", themes=["water"], mandates=["peru.5"], status="published"
        )
        row = found()["PY"]
        assert [(r.kind, r.id) for r in row.rows["posts"]] == [("need", need.id)]
        assert sum(reasons(row).values()) == row.partner.points
        assert row.organisation.code == "gov-py"
        assert cited.id not in {r.id for r in row.rows.get("posts", [])}

    def test_drafts_speak_for_nobody(self, session, found):
        post_need(session, "gov-py", themes=[TOURISM], status="draft")
        assert "posts" not in reasons(found()["PY"])

    def test_a_countrys_own_plan_counts(self, exchange, found):
        lines = [
            term
            for term in exchange.reference.terms["mandate"].values()
            if term.extra.get("source_set") == "panama" and term.extra.get("themes")
        ]
        theme = lines[0].extra["themes"][0]
        assert reasons(found(themes=(theme,))["PA"])["plan"] > 0

    def test_lines_of_the_plan_that_a_country_keeps_here_count(self, exchange, session, found):
        focal = make_person(session, Role.FOCAL_POINT, "gov-py")
        plan = open_plan(session, focal, {"scope": "PY", "starts": 2027}, exchange.reference)
        said = {"language": "en", "dimension": "1", "priority": "Inns that save water"}
        line = save_line(session, focal, plan, {**said, "themes": [TOURISM]}, exchange.reference)
        save_line(session, focal, plan, {**said, "themes": ["water"]}, exchange.reference)
        row = found()["PY"]
        assert [(r.kind, r.id, r.detail) for r in row.rows["plan"]] == [
            ("line", line.id, str(plan.id))
        ]

    def test_entries_of_the_directories_count_for_whom_they_speak(self, exchange, session, found):
        entry = {
            "organisation": "gov-py", "language": "en", "title": "Inns of the Chaco",
            "description": "They save water.", "country": "PY", "themes": [TOURISM],
        }  # fmt: skip
        focal = make_person(session, Role.FOCAL_POINT, "gov-py")
        find_organisation(session, "gov-py").trusted = True
        practice = EntryKind.PRACTICE
        told = save_entry(session, focal, practice, entry, exchange.reference)
        submit_entry(session, focal, told, exchange.reference, today=days(0))
        save_entry(session, focal, practice, {**entry, "title": "A draft"}, exchange.reference)
        row = found()["PY"]
        assert [(r.kind, r.id) for r in row.rows["entries"]] == [("entry", told.id)]
        assert reasons(row)["entries"] > 0

    def test_mandates_that_a_post_cites_count(self, exchange, session, found):
        mandate = next(
            term
            for term in exchange.reference.terms["mandate"].values()
            if TOURISM in (term.extra.get("themes") or ())
        )
        need = post_need(session, "gov-uy", themes=["water"], mandates=[mandate.code])
        row = found()["UY"]
        assert [(r.id, r.detail) for r in row.rows["mandates"]] == [(need.id, mandate.code)]

    def test_filters_narrow_by_subregion_and_kind(self, found):
        caribbean = found(subregion="caribbean")
        assert "BS" in caribbean
        assert "BR" not in caribbean
        assert set(found(kind="country", subregion="andean")) == {"BO", "CO", "EC", "PE", "VE"}
        assert "CR" not in found(kind="institution")
        assert "tourism-cr" in found(kind="institution")

    def test_who_supports_pilots_is_no_candidate_to_host_one(self, session, found):
        post_offer(session, "unep-rolac", themes=[TOURISM])
        assert "unep-rolac" not in found()

    def test_only_its_officers_and_the_moderators_look(self, exchange, session, force):
        for role in (Role.FOCAL_POINT, Role.PROVIDER, Role.TASK_FORCE):
            by = make_person(session, role)
            with pytest.raises(NotAllowed, match="look_for_partners"):
                find_partners(exchange, session, by, force, PartnerFilter())
        office = make_person(session, Role.SECRETARIAT)
        assert find_partners(exchange, session, office, force, PartnerFilter())

    def test_the_number_of_queries_does_not_grow(
        self, exchange, session, officer, force, count_queries
    ):
        def queries() -> int:
            session.expire_all()
            with count_queries() as statements:
                find_partners(exchange, session, officer, force, PartnerFilter())
            return len(statements)

        find_partners(exchange, session, officer, force, PartnerFilter())
        before = queries()
        for code in ("gov-pe", "gov-ec", "gov-py", "gov-uy", "gov-br"):
            post_need(session, code, themes=[TOURISM])
            post_offer(session, code, themes=[TOURISM])
        session.flush()
        assert queries() <= before + 1
        assert before < 25

    def test_one_candidate_is_shown_by_itself(self, exchange, session, officer, force):
        row = get_partner(exchange, session, officer, force, "country", "BS", (TOURISM,))
        assert row.code == "BS"
        with pytest.raises(NotFound):
            get_partner(exchange, session, officer, force, "country", "XX", (TOURISM,))


INVITATION = {"organisation": "gov-bs", "theme": TOURISM, "message": "Host our pilot?"}


class TestInviting:
    def test_a_country_without_a_post_is_invited_and_answers(
        self, exchange, session, officer, force, found
    ):
        reference = exchange.reference
        made = invite_partner(session, officer, force, INVITATION, reference)
        bahamas = make_person(session, Role.FOCAL_POINT, "gov-bs")
        assert waiting_invitations(session, bahamas) == [made]
        assert found()["BS"].invited is made
        assert get_invitation(session, made.id, bahamas) is made
        answer_invitation(session, bahamas, made, {"message": "Yes"}, reference, willing=True)
        assert waiting_invitations(session, bahamas) == []
        assert list(session.scalars(invitations_of(force))) == [made]
        assert made.status == "willing"

    def test_once_on_a_theme(self, exchange, session, officer, force):
        invite_partner(session, officer, force, INVITATION, exchange.reference)
        with pytest.raises(Conflict, match="invitation_exists"):
            invite_partner(session, officer, force, INVITATION, exchange.reference)

    def test_it_names_one_of_the_task_forces_own_pilots(self, exchange, session, officer, force):
        pilot = post_offer(session, "tf-tourism", pilot_hosted=True)
        other = post_offer(session, "tf-procurement", pilot_hosted=True)
        with pytest.raises(InvalidInput):
            invite_partner(
                session, officer, force, {**INVITATION, "offer": other.reference},
                exchange.reference,
            )  # fmt: skip
        made = invite_partner(
            session, officer, force, {**INVITATION, "offer": pilot.reference},
            exchange.reference,
        )  # fmt: skip
        assert made.offer is pilot

    def test_what_is_missing_or_elsewhere_is_said(self, exchange, session, officer, force):
        for data in (
            {**INVITATION, "message": " "},
            {**INVITATION, "organisation": "caf-nowhere"},
            {**INVITATION, "organisation": "tf-products"},
            {**INVITATION, "theme": "juggling"},
        ):
            with pytest.raises(InvalidInput):
                invite_partner(session, officer, force, data, exchange.reference)

    def test_strangers_neither_invite_nor_read_nor_answer(self, exchange, session, officer, force):
        peru = make_person(session, Role.FOCAL_POINT)
        with pytest.raises(NotAllowed, match="look_for_partners"):
            invite_partner(session, peru, force, INVITATION, exchange.reference)
        made = invite_partner(session, officer, force, INVITATION, exchange.reference)
        with pytest.raises(NotFound):
            get_invitation(session, made.id, peru)
        with pytest.raises(NotAllowed, match="answer_invitation"):
            answer_invitation(session, peru, made, {}, exchange.reference, willing=True)
