"""The pages of agreements: who sees what, negotiation, signature, follow-up, and refusals."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select

from broker import agreements
from models import LANGUAGES, Agreement, AgreementStatus, Match, MatchStatus, Role
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.web.forms_of import form_to, forms_of
from tests.broker.web.sides import FOLLOW_UP, NEED_TITLE, Sides


class TestProposing:
    def test_the_form_is_filled_in_from_need_and_offer(self, sides: Sides) -> None:
        page = sides.asking.get(f"/agreements/new?match={sides.match_id}")
        drafted = form_to(page.text, "").fields
        assert page.status_code == 200
        assert drafted["title"] == NEED_TITLE
        assert (drafted["places"], drafted["money"], drafted["currency"]) == ("25", "9000", "USD")
        assert drafted.getlist("support_kinds") == ["capacity_building"]

    def test_the_drafted_form_can_be_sent_once_dates_are_given(self, sides: Sides) -> None:
        page = sides.asking.get(f"/agreements/new?match={sides.match_id}").text
        fields = form_to(page, "").fields
        fields.setlist("ends", [days(100).isoformat()])
        answer = sides.asking.post(f"/agreements/new?match={sides.match_id}", data=fields)
        assert answer.status_code == 302
        assert "on the table" in sides.asking.get(answer.location).text

    def test_a_wrong_field_keeps_everything_that_was_typed(self, sides: Sides) -> None:
        page = sides.propose(
            places="26",
            activities="Typed with care",
            **{
                "milestones-0-title": "No day",
                "milestones-0-due": "",
                "milestones-2-title": "A day",
                "milestones-2-due": days(30).isoformat(),
            },
        )
        assert page.status_code == 422
        assert "The offer has only 25 left." in page.text
        assert "Typed with care" in page.text
        assert 'id="milestones-0-due-problem"' in page.text
        kept = form_to(page.text, "").fields
        assert kept["milestones-0-title"] == "No day"
        assert kept["milestones-1-due"] == days(30).isoformat()
        with sides.exchange.reading() as session:
            assert session.scalars(select(Agreement)).all() == []

    def test_more_rows_are_given_without_storing_anything(self, sides: Sides) -> None:
        page = sides.propose(more="1", **{f"milestones-{n}-title": f"Step {n}" for n in range(3)})
        assert page.status_code == 200
        assert 'name="milestones-5-title"' in page.text
        with sides.exchange.reading() as session:
            assert session.scalars(select(Agreement)).all() == []

    def test_an_open_agreement_is_shown_instead_of_a_second_form(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        answer = sides.giving.get(f"/agreements/new?match={sides.match_id}")
        assert answer.location == f"/agreements/{agreement_id}"

    def test_two_proposals_at_once_leave_one_and_keep_the_other_text(self, sides: Sides) -> None:
        sides.propose()
        page = sides.propose(sides.giving, activities="My own idea")
        assert page.status_code == 409
        assert "There is already an open agreement" in page.text
        assert "My own idea" in page.text

    def test_sealed_money_is_not_told_to_the_other_side(self, sides: Sides) -> None:
        with sides.exchange.writing() as session:
            session.get_one(Match, sides.match_id).need.money_sealed = True
        assert "9,000" in sides.asking.get(f"/agreements/new?match={sides.match_id}").text
        page = sides.giving.get(f"/agreements/new?match={sides.match_id}").text
        assert "9,000" not in page
        assert form_to(page, "").fields["money"] == ""

    def test_a_match_that_is_not_there_is_not_found(self, sides: Sides) -> None:
        for match in ("", "0", "999", "x", "9" * 30):
            assert sides.asking.get(f"/agreements/new?match={match}").status_code == 404


class TestNegotiating:
    def test_the_other_side_is_asked_and_accepts(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        assert "Waiting for an answer" in sides.asking.get(f"/agreements/{agreement_id}").text
        page = sides.giving.get(f"/agreements/{agreement_id}").text
        assert "Your side has to answer" in page
        accept = form_to(page, f"/agreements/{agreement_id}/accept")
        sides.giving.post(accept.action, data=accept.fields)
        assert sides.now(agreement_id).status == AgreementStatus.NEGOTIATED
        assert "Your side has to sign" in sides.asking.get(f"/agreements/{agreement_id}").text

    def test_an_answer_shows_what_it_changed_word_by_word(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        form = form_to(sides.giving.get(f"/agreements/{agreement_id}/terms").text, "").fields
        form["activities"] = "Two workshops of four days in Lima."
        form["places"] = "10"
        form["note"] = "Longer, but for fewer."
        answer = sides.giving.post(f"/agreements/{agreement_id}/terms", data=form)
        page = sides.asking.get(answer.location).text
        assert "<del>three </del><ins>four </ins>" in page
        assert "<del>20</del> → <ins>10</ins>" in page
        assert "Longer, but for fewer." in page

    def test_whoever_writes_second_keeps_her_text_and_sees_the_other_version(
        self, sides: Sides
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        address = f"/agreements/{agreement_id}/terms"
        mine = form_to(sides.asking.get(address).text, "").fields
        theirs = form_to(sides.giving.get(address).text, "").fields
        theirs["places"] = "10"
        assert sides.giving.post(address, data=theirs).status_code == 302
        mine["activities"] = "Three workshops in Cusco."
        page = sides.asking.post(address, data=mine)
        assert page.status_code == 409
        assert "What version 2 changed" in page.text
        assert "<del>20</del> → <ins>10</ins>" in page.text
        kept = form_to(page.text, "").fields
        assert kept["activities"] == "Three workshops in Cusco."
        assert len(sides.now(agreement_id).terms) == 2
        # She has now read version 2, and her answer to it goes through.
        assert kept["based_on"] == "2"
        assert sides.asking.post(address, data=kept).status_code == 302
        assert len(sides.now(agreement_id).terms) == 3

    def test_an_answer_to_no_known_version_is_not_stored(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        for based_on in ("", "x", "0", "7", "9" * 30):
            page = sides.giving.post(
                f"/agreements/{agreement_id}/terms", data=sides.terms(based_on=based_on)
            )
            assert page.status_code == 409
        assert len(sides.now(agreement_id).terms) == 1

    def test_accepting_an_overtaken_version_shows_the_agreement_as_it_stands(
        self, sides: Sides
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        sides.asking.post(
            f"/agreements/{agreement_id}/terms", data=sides.terms(based_on="1", places="10")
        )
        page = sides.giving.post(f"/agreements/{agreement_id}/accept", data={"number": "1"})
        assert page.status_code == 409
        assert "version 2 of the terms on the table in the meantime" in page.text
        assert "Accept version 2" in page.text
        assert sides.now(agreement_id).status == AgreementStatus.PROPOSED

    def test_breaking_off_needs_a_reason_and_gives_it_to_the_other_side(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        address = f"/agreements/{agreement_id}/abandon"
        assert sides.giving.post(address, data={"reason": " "}).status_code == 422
        assert sides.giving.post(address, data={"reason": "No trainers"}).status_code == 302
        page = sides.asking.get(f"/agreements/{agreement_id}").text
        assert "Why it was broken off" in page
        assert "No trainers" in page


class TestSigning:
    def test_the_page_says_exactly_what_is_committed(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.NEGOTIATED)
        page = sides.asking.get(f"/agreements/{agreement_id}/sign").text
        figures = [
            re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r'<td class="num">(.*?)</td>', page)
        ]
        assert figures == ["25", "20", "5", "USD 20,000", "USD 5,000", "USD 15,000"]
        assert "Your signature alone sets nothing aside yet." in page

    def test_both_sides_sign_and_the_public_reads_it(self, sides: Sides, client) -> None:
        agreement_id = sides.agreement(AgreementStatus.NEGOTIATED)
        assert client.get(f"/agreements/{agreement_id}").status_code == 404
        for side in (sides.asking, sides.giving):
            page = side.get(f"/agreements/{agreement_id}/sign").text
            answer = side.post(f"/agreements/{agreement_id}/sign", data=form_to(page, "").fields)
            assert answer.status_code == 302
        page = client.get(f"/agreements/{agreement_id}").text
        assert "What was agreed" in page
        assert "USD 5,000" in page
        assert "How the terms came about" not in page
        assert "Training of buyers" in client.get("/agreements").text

    def test_when_the_capacity_has_gone_nothing_is_signed(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.NEGOTIATED)
        sides.asking.post(f"/agreements/{agreement_id}/sign", data={"number": "1"})
        with sides.exchange.writing() as session:
            session.get_one(Match, sides.match_id).offer.places = 12
        page = sides.giving.post(f"/agreements/{agreement_id}/sign", data={"number": "1"})
        assert page.status_code == 409
        assert "asked are 20 places" in page.text
        assert "left are 12 places" in page.text
        assert "Answer with other terms" in page.text
        agreement = sides.now(agreement_id)
        assert agreement.status == AgreementStatus.NEGOTIATED
        assert [party.signed_at is not None for party in agreement.parties] == [True, False]
        assert agreement.commitments == []

    def test_whoever_has_signed_is_not_asked_again(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.NEGOTIATED)
        sides.asking.post(f"/agreements/{agreement_id}/sign", data={"number": "1"})
        assert "Waiting for a signature" in sides.asking.get(f"/agreements/{agreement_id}").text
        page = sides.asking.get(f"/agreements/{agreement_id}/sign")
        assert page.status_code == 409
        assert "already signed" in page.text

    def test_no_other_version_can_be_signed(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.NEGOTIATED)
        for number in ("", "x", "-1", "2", "9" * 40):
            page = sides.asking.post(f"/agreements/{agreement_id}/sign", data={"number": number})
            assert page.status_code in (409, 422)
        assert sides.now(agreement_id).parties[0].signed_at is None


class TestFollowing:
    def test_the_work_begins(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.SIGNED)
        sides.giving.post(f"/agreements/{agreement_id}/start")
        assert sides.now(agreement_id).status == AgreementStatus.ACTIVE
        again = sides.giving.post(f"/agreements/{agreement_id}/start")
        assert again.status_code == 409
        assert "cannot become" in again.text

    def test_a_late_milestone_is_marked_in_words_and_done_with_evidence(
        self, sides: Sides, client
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.ACTIVE, **FOLLOW_UP)
        page = sides.asking.get(f"/agreements/{agreement_id}").text
        assert "1 milestone is late" in page
        assert "late by 3 days" in page
        address = re.search(r'href="(/agreements/\d+/milestones/\d+)"', page)[1]
        assert sides.asking.post(address, data={"evidence": ""}).status_code == 422
        answer = sides.asking.post(address, data={"evidence": "See https://example.org/list"})
        page = sides.giving.get(answer.location).text
        assert "late by" not in page
        assert 'href="https://example.org/list"' in page
        assert "example.org" not in client.get(f"/agreements/{agreement_id}").text

    def test_values_are_drawn_and_listed(self, sides: Sides, client) -> None:
        agreement_id = sides.agreement(AgreementStatus.ACTIVE, **FOLLOW_UP)
        page = sides.asking.get(f"/agreements/{agreement_id}").text
        assert "No value has been reported yet." in page
        address = re.search(r'href="(/agreements/\d+/indicators/\d+)"', page)[1]
        for day, value in ((-2, "5"), (-1, "12.5")):
            form = {"on": days(day).isoformat(), "value": value, "note": "Counted by hand"}
            assert sides.asking.post(address, data=form).status_code == 302
        page = client.get(f"/agreements/{agreement_id}").text
        assert page.count("<circle") == 2
        assert "62 % of the way" in page or "63 % of the way" in page
        assert "Counted by hand" not in page
        assert "Counted by hand" in sides.giving.get(f"/agreements/{agreement_id}").text

    def test_a_value_that_cannot_be_is_refused_at_its_field(self, sides: Sides) -> None:
        agreement_id = sides.agreement(AgreementStatus.ACTIVE, **FOLLOW_UP)
        indicator = sides.now(agreement_id).indicators[0]
        today = days(0).isoformat()
        for form, field in (
            ({"on": "", "value": "5"}, "on"),
            ({"on": "31/12/2027", "value": "5"}, "on"),
            ({"on": days(1).isoformat(), "value": "5"}, "on"),
            ({"on": today, "value": ""}, "value"),
            ({"on": today, "value": "many"}, "value"),
            ({"on": today, "value": "inf"}, "value"),
            ({"on": today, "value": "1e300"}, "value"),
        ):
            page = sides.asking.post(
                f"/agreements/{agreement_id}/indicators/{indicator.id}",
                data={**form, "note": "What I saw"},
            )
            assert page.status_code == 422, form
            assert f'id="{field}-problem"' in page.text
            assert "What I saw" in page.text
        assert sides.now(agreement_id).indicators[0].reports == []

    def test_completion_puts_the_report_into_the_register(self, sides: Sides, client) -> None:
        agreement_id = sides.agreement(AgreementStatus.ACTIVE, **FOLLOW_UP)
        address = f"/agreements/{agreement_id}/complete"
        assert (
            "not marked as done: First workshop; Second workshop" in sides.asking.get(address).text
        )
        sides.asking.post(address, data={"report": "Twenty buyers\n\nwrite greener tenders."})
        page = client.get(f"/agreements/{agreement_id}").text
        assert "<p>Twenty buyers</p><p>write greener tenders.</p>" in page
        assert "not reached" in page

    def test_termination_says_what_returns_and_returns_it(self, sides: Sides, client) -> None:
        agreement_id = sides.agreement(AgreementStatus.ACTIVE)
        address = f"/agreements/{agreement_id}/terminate"
        assert "20 places · USD 5,000" in sides.asking.get(address).text
        form = {"reason": "The budget was cut.", "places_used": "", "money_used": "1000"}
        page = sides.asking.post(address, data=form)
        assert page.status_code == 422
        assert 'id="places_used-problem"' in page.text
        assert "The budget was cut." in page.text
        page = sides.asking.post(address, data={**form, "places_used": "21"})
        assert "more than the agreement committed" in page.text
        assert sides.now(agreement_id).status == AgreementStatus.ACTIVE
        assert sides.asking.post(address, data={**form, "places_used": "8"}).status_code == 302
        page = client.get(f"/agreements/{agreement_id}").text
        assert "The budget was cut." in page
        rows = re.findall(r'<td data-label="Places" class="num">(?:<strong>)?(-?\d+)', page)
        assert rows == ["20", "-12", "8"]

    @pytest.mark.parametrize("way", ["complete", "terminate", "abandon", "sign", "terms"])
    def test_what_cannot_be_done_now_leads_back_to_the_agreement(
        self, sides: Sides, way: str
    ) -> None:
        state = {
            "complete": AgreementStatus.SIGNED,
            "terminate": AgreementStatus.NEGOTIATED,
        }.get(way, AgreementStatus.ACTIVE)
        agreement_id = sides.agreement(state)
        page = sides.asking.get(f"/agreements/{agreement_id}/{way}")
        assert page.status_code == 409
        assert 'role="alert"' in page.text
        assert 'class="steps"' in page.text


STRANGERS = [
    (Role.FOCAL_POINT, "gov-pa"),
    (Role.PROVIDER, "caf"),
    (Role.TASK_FORCE, "tf-lifestyles"),
    (Role.COORDINATOR, "gov-ec"),
    (Role.SECRETARIAT, "unep-rolac"),
]


class TestWhoSeesAndDoes:
    @pytest.mark.parametrize(("role", "organisation"), STRANGERS)
    def test_a_negotiation_is_closed_to_strangers_and_open_to_moderators(
        self, sides: Sides, sign_in, role: Role, organisation: str
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        stranger = sign_in(role, organisation)
        moderates = role in (Role.COORDINATOR, Role.SECRETARIAT)
        page = stranger.get(f"/agreements/{agreement_id}")
        assert page.status_code == (200 if moderates else 404)
        if moderates:
            assert "How the terms came about" in page.text
            assert f"/agreements/{agreement_id}/accept" not in page.text

    @pytest.mark.parametrize(("role", "organisation"), STRANGERS)
    def test_strangers_can_do_nothing_to_a_signed_agreement(
        self, sides: Sides, sign_in, role: Role, organisation: str
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.SIGNED, **FOLLOW_UP)
        stranger = sign_in(role, organisation)
        acts = ("terms", "accept", "sign", "start", "complete", "terminate", "abandon")
        for act in (*acts, "milestones/1", "indicators/1"):
            answer = stranger.post(f"/agreements/{agreement_id}/{act}", data={"reason": "x"})
            assert answer.status_code == 403, act
        assert sides.now(agreement_id).status == AgreementStatus.SIGNED

    @pytest.mark.parametrize(("role", "organisation"), STRANGERS)
    def test_strangers_cannot_propose(
        self, sides: Sides, sign_in, role: Role, organisation: str
    ) -> None:
        stranger = sign_in(role, organisation)
        for answer in (
            stranger.get(f"/agreements/new?match={sides.match_id}"),
            sides.propose(stranger),
        ):
            assert answer.status_code in (403, 404)

    def test_the_public_is_asked_to_sign_in(self, sides: Sides, client) -> None:
        agreement_id = sides.agreement(AgreementStatus.SIGNED)
        assert client.get(f"/agreements/{agreement_id}/sign").location.startswith("/sign-in")
        assert client.post(f"/agreements/{agreement_id}/accept").status_code == 401


class TestRegister:
    def test_an_empty_register_says_so(self, client) -> None:
        assert "Nothing has been signed yet." in client.get("/agreements").text

    def test_filters_stand_in_the_address(self, sides: Sides, client) -> None:
        sides.agreement(AgreementStatus.SIGNED)
        for query, found in (
            ("status=signed", True),
            ("status=active", False),
            ("status=proposed", False),
            ("country=PE", True),
            ("country=PA", False),
            ("theme=sustainable_public_procurement", True),
            ("theme=water", False),
            ("status=&theme=&country=", True),
            ("status=nonsense&theme=%00&country=';--&page=-3", False),
        ):
            page = client.get(f"/agreements?{query}")
            assert page.status_code == 200
            assert ("Training of buyers" in page.text) is found, query

    def test_a_chosen_filter_stays_chosen(self, client) -> None:
        page = client.get("/agreements?country=PE&status=signed").text
        assert '<option value="PE" selected>' in page
        assert '<option value="signed" selected>' in page
        assert "Take the filters off" in page

    def test_mine_holds_what_is_still_negotiated_and_says_whose_turn_it_is(
        self, sides: Sides, client
    ) -> None:
        sides.agreement(AgreementStatus.PROPOSED)
        assert "Training of buyers" not in client.get("/agreements?mine=1").text
        assert "your side has to answer" in sides.giving.get("/agreements?mine=1").text
        mine = sides.asking.get("/agreements?mine=1").text
        assert "Training of buyers" in mine
        assert "your side has to answer" not in mine

    def test_moderators_have_a_list_of_negotiations(self, sides: Sides, sign_in) -> None:
        sides.agreement(AgreementStatus.PROPOSED)
        for role, found in ((Role.SECRETARIAT, True), (Role.FOCAL_POINT, False)):
            browser = sign_in(role, "gov-pa" if role == Role.FOCAL_POINT else "")
            page = browser.get("/agreements?negotiations=1").text
            assert ("Training of buyers" in page) is found

    def test_a_long_register_costs_no_more_queries_than_a_short_one(
        self, sides: Sides, client, count_queries
    ) -> None:
        def cost() -> int:
            with count_queries() as statements:
                assert client.get("/agreements").status_code == 200
            return len(statements)

        sides.agreement(AgreementStatus.SIGNED, places="1", money="1")
        client.get("/agreements")
        short = cost()
        for _ in range(3):
            with sides.exchange.writing() as session:
                match = Match(
                    need=post_need(session, "gov-pa"),
                    offer=post_offer(session, "caf"),
                    status=MatchStatus.MUTUAL,
                )
                session.add(match)
                session.flush()
                asking = make_person(session, Role.FOCAL_POINT, "gov-pa")
                giving = make_person(session, Role.PROVIDER)
                agreement = agreements.propose_agreement(
                    session,
                    asking,
                    match,
                    sides.terms(),
                    sides.exchange.reference,
                    today=days(0),
                )
                agreements.accept_terms(session, giving, agreement, 1)
                agreements.sign_agreement(session, asking, agreement, 1)
                agreements.sign_agreement(session, giving, agreement, 1)
        assert cost() == short

    def test_an_agreement_with_many_versions_costs_no_more_queries(
        self, sides: Sides, count_queries
    ) -> None:
        agreement_id = sides.agreement(AgreementStatus.PROPOSED)
        sides.asking.get(f"/agreements/{agreement_id}")

        def cost() -> int:
            with count_queries() as statements:
                assert sides.asking.get(f"/agreements/{agreement_id}").status_code == 200
            return len(statements)

        short = cost()
        for number in range(1, 5):
            sides.giving.post(
                f"/agreements/{agreement_id}/terms",
                data=sides.terms(based_on=str(number), places=str(number)),
            )
        assert cost() <= short + 1  # the other side's author


def test_every_form_carries_a_token_against_forgery(sides: Sides, app) -> None:
    agreement_id = sides.agreement(AgreementStatus.NEGOTIATED, **FOLLOW_UP)
    for address in (
        f"/agreements/{agreement_id}",
        f"/agreements/{agreement_id}/terms",
        f"/agreements/{agreement_id}/sign",
        f"/agreements/{agreement_id}/abandon",
    ):
        posted = [f for f in forms_of(sides.asking.get(address).text) if f.method == "post"]
        assert posted
        assert all("csrf_token" in form.fields for form in posted), address
    app.config["WTF_CSRF_ENABLED"] = True
    assert sides.asking.post(f"/agreements/{agreement_id}/start").status_code == 400


def test_what_people_type_is_shown_as_text(sides: Sides) -> None:
    nasty = "<script>alert(1)</script> {{ 7*7 }} %(x)s 100 %"
    agreement_id = sides.agreement(
        AgreementStatus.PROPOSED, title=nasty, activities=nasty, note=nasty
    )
    sides.giving.post(
        f"/agreements/{agreement_id}/terms",
        data=sides.terms(based_on="1", title=nasty + "!", activities="y " + nasty, note=nasty),
    )
    for address in ("/agreements?mine=1", f"/agreements/{agreement_id}"):
        page = sides.asking.get(address)
        assert page.status_code == 200
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "{{ 7*7 }}" in page.text


def test_pages_render_in_every_language(sides: Sides) -> None:
    agreement_id = sides.agreement(AgreementStatus.ACTIVE, **FOLLOW_UP)
    for language in LANGUAGES:
        sides.asking.post(f"/language/{language}")
        for address in (
            "/agreements",
            f"/agreements/{agreement_id}",
            f"/agreements/{agreement_id}/terminate",
            f"/agreements/{agreement_id}/complete",
        ):
            page = sides.asking.get(address)
            assert page.status_code == 200
            assert f'<html lang="{language}">' in page.text
