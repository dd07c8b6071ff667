"""Pages of task forces, pilot partners, pairings, conflicts and delegation."""

import re

import pytest

from models import (
    ConflictOfInterest,
    Match,
    MatchStatus,
    Need,
    Offer,
    Pairing,
    PilotInvitation,
    PostStatus,
    Role,
    User,
)
from tests.broker.factories import days, make_person, post_need, post_offer

TOURISM = "sustainable_tourism"


@pytest.fixture
def officer(sign_in):
    return sign_in(Role.TASK_FORCE, "tf-tourism")


@pytest.fixture
def peru(sign_in):
    return sign_in(Role.FOCAL_POINT)


def made(exchange, make):
    with exchange.writing() as session:
        return make(session).id


def only(exchange, model):
    with exchange.sessions() as session:
        return session.query(model).one()


class TestTaskForce:
    def test_everybody_reads_its_page_and_no_officers_tools(self, client):
        index = client.get("/task-forces").text
        assert "/task-forces/tf-tourism" in index
        page = client.get("/task-forces/tf-tourism").text
        for words in ("Objectives", "Activities", "Members in the region", "Meetings", "Pilots"):
            assert words in page
        assert "Look for pilot partners" not in page
        assert client.get("/task-forces/nobody").status_code == 404

    def test_its_officers_see_who_waits_longest(self, exchange, officer):
        made(
            exchange,
            lambda s: post_need(s, themes=[TOURISM], title="Clean beaches", published_on=days(-40)),
        )
        for address in ("/task-forces/tf-tourism", "/task-forces/tf-tourism/queue", "/desk"):
            page = officer.get(address).text
            assert "Clean beaches" in page, address
            assert "on the exchange for 40 days" in page
            assert "nobody has shown interest yet" in page

    def test_another_task_force_reads_no_queue(self, sign_in):
        other = sign_in(Role.TASK_FORCE, "tf-products")
        assert other.get("/task-forces/tf-tourism/queue").status_code == 403
        assert other.get("/task-forces/tf-tourism/edit").status_code == 403
        assert other.get("/task-forces/tf-tourism/partners").status_code == 403

    def test_a_meeting_is_announced_and_mistakes_are_shown_beside_it(self, officer, client):
        where = "/task-forces/tf-tourism"
        typed = {"date": "soon", "place": "Lima", "language": "en", "note": "Sixth meeting"}
        again = officer.post(f"{where}/meetings", data=typed)
        assert again.status_code == 422
        assert "Write a year, a month" in again.text
        assert 'value="Lima"' in again.text
        officer.post(f"{where}/meetings", data={**typed, "date": "2090-03-31"})
        page = client.get(where).text
        assert "To come" in page
        assert "Sixth meeting" in page

    def test_an_activity_comes_and_goes(self, officer, client):
        where = "/task-forces/tf-tourism"
        officer.post(f"{where}/activities", data={"text": "A helpdesk", "language": "en"})
        page = officer.get(f"{where}/edit").text
        number = re.findall(r"/activities/(\d+)/remove", page)[-1]
        assert "A helpdesk" in client.get(where).text
        officer.post(f"{where}/activities/{number}/remove", data={"seen": "A helpdesk"})
        assert "A helpdesk" not in client.get(where).text


class TestPartners:
    def test_candidates_are_ranked_with_reasons_that_lead_to_their_rows(self, officer):
        page = officer.get(f"/task-forces/tf-tourism/partners?theme={TOURISM}").text
        assert "member of the task force" in page
        narrowed = (
            f"/task-forces/tf-tourism/partners?theme={TOURISM}&subregion=caribbean&kind=country"
        )
        caribbean = officer.get(narrowed).text
        assert "14 candidates" in caribbean
        address = re.search(
            r'href="(/task-forces/tf-tourism/partners/country/BS[^"#]*)"', caribbean
        )
        partner = officer.get(address[1]).text
        assert 'id="membership"' in partner
        assert "30.00" in partner

    def test_an_institution_that_has_posted_nothing_is_invited_and_answers(
        self, exchange, officer, sign_in
    ):
        where = "/task-forces/tf-tourism/partners/country/BS"
        empty = officer.post(where, data={"organisation": "gov-bs", "theme": TOURISM})
        assert empty.status_code == 422
        assert "Please fill this in" in empty.text
        officer.post(
            where, data={"organisation": "gov-bs", "theme": TOURISM, "message": "Host our pilot?"}
        )
        invitation = only(exchange, PilotInvitation)
        bahamas = sign_in(Role.FOCAL_POINT, "gov-bs")
        assert f"/invitations/{invitation.id}" in bahamas.get("/desk").text
        page = bahamas.get(f"/invitations/{invitation.id}").text
        assert "Host our pilot?" in page
        bahamas.post(
            f"/invitations/{invitation.id}/answer", data={"willing": "true", "message": "Yes"}
        )
        assert "wants to take part" in officer.get(f"/invitations/{invitation.id}").text
        assert "wants to take part" in officer.get("/task-forces/tf-tourism/invitations").text
        stranger = sign_in(Role.PROVIDER)
        assert stranger.get(f"/invitations/{invitation.id}").status_code == 404


class TestPairings:
    def test_both_sides_read_who_suggested_it_and_why(self, exchange, officer, peru, sign_in):
        with exchange.writing() as session:
            need = post_need(session, themes=["water"])
            offer = post_offer(session, "caf", themes=[TOURISM])
        form = officer.get(f"/pairings/new?need={need.reference}&offer={offer.reference}").text
        assert "The engine gives this pair" in form
        officer.post(
            "/pairings/new",
            data={"need": need.reference, "offer": offer.reference, "reason": "Same coast."},
        )
        assert only(exchange, Pairing).reason == "Same coast."
        caf = sign_in(Role.PROVIDER, "caf")
        for reader in (peru, caf):
            assert "Same coast." in reader.get("/desk").text
            pair = reader.get(f"/matches/{need.id}/{offer.id}").text
            assert "suggested by a person" in pair
            assert "Same coast." in pair
        assert "Suggested by people" in peru.get(f"/needs/{need.id}/matches").text

    def test_a_pair_that_breaks_a_rule_is_refused_with_the_rule(self, exchange, officer):
        with exchange.writing() as session:
            need = post_need(session)
            offer = post_offer(session, "caf", serves_subregions=["caribbean"])
        sent = {"need": need.reference, "offer": offer.reference, "reason": "Same coast."}
        refused = officer.post("/pairings/new", data=sent)
        assert refused.status_code == 409
        assert "the place is not served" in refused.text
        assert "Same coast." in refused.text


class TestConflicts:
    def test_it_is_declared_and_closes_the_review(self, exchange, sign_in):
        with exchange.writing() as session:
            office_user = make_person(session, Role.SECRETARIAT)
            need = post_need(session, status="submitted")
        office = sign_in(office_user)
        again = office.post("/conflicts", data={"organisation": "gov-pe", "reason": ""})
        assert again.status_code == 422
        assert 'value="gov-pe"' in again.text
        office.post("/conflicts", data={"organisation": "gov-pe", "reason": "A relative."})
        assert "A relative." in office.get("/conflicts").text
        refused = office.post(
            f"/secretariat/queue/needs/{need.id}/publish", data={"revision": need.revision}
        )
        assert refused.status_code == 403
        assert "conflict of interest" in refused.text
        with exchange.reading() as session:
            assert session.get(Need, need.id).status == PostStatus.SUBMITTED

    def test_the_secretariat_lifts_another_persons(self, exchange, peru, sign_in):
        peru.post("/conflicts", data={"organisation": "caf", "reason": "A relative."})
        number = only(exchange, ConflictOfInterest).id
        office = sign_in(Role.SECRETARIAT)
        assert "A relative." in office.get("/conflicts").text
        office.post(f"/conflicts/{number}/lift")
        assert "lifted on" in peru.get("/conflicts").text
        assert "A relative." not in sign_in(Role.PROVIDER).get("/conflicts").text


class TestDelegation:
    def test_a_colleague_writes_and_the_focal_point_endorses(self, exchange, peru, sign_in):
        told = peru.post(
            "/desk/colleagues",
            data={
                "name": "Water desk",
                "ministry": "Ministry of Water",
                "email": "water@ministry.example",
                "language": "en",
            },
        ).text
        assert "water@ministry.example" in told
        with exchange.sessions() as session:
            delegate = session.query(User).filter_by(role=Role.DELEGATE).one()
        colleague = sign_in(delegate)
        sent = {
            "language": "en", "title": "Measure our rivers", "description": "How clean are they?",
            "support-0-kind": "technical_support", "country": "PE", "then": "submit",
        }  # fmt: skip
        colleague.post("/needs/new", data=sent)
        need = only(exchange, Need)
        assert need.status == PostStatus.TO_ENDORSE
        assert "Ministry of Water" in peru.get("/desk").text
        page = peru.get(f"/needs/{need.id}").text
        assert "Do you endorse this need?" in page
        assert "Do you endorse this need?" not in colleague.get(f"/needs/{need.id}").text
        peru.post(f"/needs/{need.id}/endorse", data={"revision": need.revision})
        assert only(exchange, Need).status == PostStatus.SUBMITTED
        assert "Endorsed by" in colleague.get(f"/needs/{need.id}").text

    def test_a_need_is_returned_with_a_comment(self, exchange, peru, sign_in):
        with exchange.writing() as session:
            delegate = make_person(session, Role.DELEGATE, "gov-pe")
            need = post_need(session, status="to_endorse", author=delegate)
        where = f"/needs/{need.id}/give-back"
        silent = peru.post(where, data={"revision": need.revision}, follow_redirects=True)
        assert "Say in the comment" in silent.text
        peru.post(where, data={"revision": need.revision, "comment": "Which rivers?"})
        assert "Which rivers?" in sign_in(delegate).get(f"/needs/{need.id}").text

    def test_a_delegate_reaches_no_colleagues_draft_and_no_offer_form(self, exchange, sign_in):
        with exchange.writing() as session:
            delegate = make_person(session, Role.DELEGATE, "gov-pe")
            draft = post_need(session, status="draft", title="Secret plan")
            live = post_need(session, title="Open plan")
        colleague = sign_in(delegate)
        assert colleague.get(f"/needs/{draft.id}").status_code == 404
        assert "Secret plan" not in colleague.get("/desk").text
        assert colleague.get("/offers/new").status_code == 403
        assert colleague.get(f"/needs/{live.id}/matches").status_code == 403
        assert colleague.get("/desk").status_code == 200

    def test_an_account_is_closed_and_opened_by_the_focal_point(self, exchange, peru):
        with exchange.writing() as session:
            number = make_person(session, Role.DELEGATE, "gov-pe", name="Water desk").id
        where = f"/desk/colleagues/{number}/active"
        for active in ("false", "true"):
            peru.post(where, data={"active": active})
            with exchange.reading() as session:
                assert session.get(User, number).active == (active == "true")


class TestPartOfANeed:
    def test_an_agency_covers_a_part_and_the_need_shows_it(self, exchange, peru, sign_in):
        with exchange.writing() as session:
            need = post_need(session, places_wanted=50)
            offer = post_offer(session, "caf", places=40)
        caf = sign_in(Role.PROVIDER, "caf")
        pair = f"/matches/{need.id}/{offer.id}"
        too_many = caf.post(f"{pair}/interest", data={"places": "41"})
        assert too_many.status_code == 422
        assert "only 40 left" in too_many.text
        caf.post(f"{pair}/interest", data={"share": "60"})
        assert "60 % of the need" in peru.get(f"/needs/{need.id}").text
        assert "covers 60 % of the need" in peru.get("/desk").text

    def test_an_offer_that_is_used_up_says_why_nothing_can_be_done(self, exchange, peru, sign_in):
        with exchange.writing() as session:
            need = post_need(session)
            offer = post_offer(session, "caf", places=2)
            offer.places_committed = 2
            offer.follow_balance()
        pair = f"/matches/{need.id}/{offer.id}"
        assert "Agreements have committed all that the offer has" in peru.get(pair).text
        refused = peru.post(f"{pair}/interest")
        assert refused.status_code == 409
        assert "nothing is left for another one" in refused.text
        with exchange.reading() as session:
            assert session.query(Match).count() == 0


class TestSealedBudget:
    BUDGET = ("765432", "765,432", "765.432", "700000", "700,000", "43210", "43,210", "40,000")

    @pytest.fixture
    def pair(self, exchange):
        with exchange.writing() as session:
            need = post_need(session, money_most="90000", currency="USD")
            offer = post_offer(
                session, "caf", money="765432", grant_most="43210", currency="USD",
                money_sealed=True, places=40,
            )  # fmt: skip
            match = Match(need=need, offer=offer, status=MatchStatus.MUTUAL)
            session.add(match)
        return need.id, offer.id, match.id

    def test_nobody_outside_reads_it_anywhere(self, client, peru, sign_in, pair):
        need, offer, match = pair
        office = sign_in(Role.SECRETARIAT)
        pages = [
            f"/offers/{offer}", f"/offers/{offer}/versions/1", f"/matches/{need}/{offer}",
            f"/needs/{need}/matches", f"/agreements/new?match={match}", "/", "/offers",
            "/organisations/caf", f"/offers/{offer}/balance", "/secretariat", "/secretariat/audit",
            "/secretariat/report", "/secretariat/report.csv", "/board", "/desk",
        ]  # fmt: skip
        for reader in (client, peru, office):
            for page in pages:
                text = reader.get(page).text
                for amount in self.BUDGET:
                    assert amount not in text, (page, amount)

    def test_the_explanation_speaks_of_means_alone(self, peru, pair):
        need, offer, _match = pair
        page = peru.get(f"/matches/{need}/{offer}").text
        assert "within the provider’s means, which are sealed" in page.lower()

    def test_its_own_people_read_it(self, sign_in, pair):
        caf = sign_in(Role.PROVIDER, "caf")
        assert "765,432" in caf.get(f"/offers/{pair[1]}").text
        assert "765,432" in caf.get("/desk/offers").text

    def test_the_form_seals_it(self, exchange, sign_in):
        caf = sign_in(Role.PROVIDER, "caf")
        caf.post(
            "/offers/new",
            data={"language": "en", "title": "Loans", "money": "5000", "money_sealed": "true",
                  "currency": "USD", "then": "keep"},
        )  # fmt: skip
        assert only(exchange, Offer).money_sealed


class TestDesk:
    def test_needs_stand_with_coverage_and_best_matches(self, exchange, peru):
        with exchange.writing() as session:
            post_need(session, title="Train our buyers", places_wanted=10)
            post_offer(session, title="Buyers’ school")
        for address in ("/desk", "/desk/needs"):
            page = peru.get(address).text
            assert "Train our buyers" in page
            assert "Buyers’ school" in page
            assert "0 of 10 covered" in page

    def test_the_country_is_pictured_with_links_to_the_rows(self, exchange, peru):
        with exchange.writing() as session:
            post_need(session)
            post_need(session)
        page = peru.get("/desk").text
        link = re.search(r'href="(/needs\?[^"]*theme=[^"]*)">2 needs</a>', page)
        assert "2 needs" in peru.get(link[1].replace("&amp;", "&")).text

    def test_offers_stand_with_what_is_left_and_needs_across_all_of_them(self, exchange, sign_in):
        with exchange.writing() as session:
            post_need(session, title="Train our buyers")
            post_need(session, title="Clean beaches", themes=[TOURISM])
            post_offer(session, "caf", places=40, title="Places")
            post_offer(session, "caf", title="Beach fund", themes=[TOURISM])
        caf = sign_in(Role.PROVIDER, "caf")
        assert "40 of 40 left" in caf.get("/desk").text
        whole = caf.get("/desk/ranked-needs").text
        assert whole.count("by your offer:") == 2
        narrowed = caf.get(f"/desk/ranked-needs?theme={TOURISM}").text
        assert "Clean beaches" in narrowed
        assert "Train our buyers" not in narrowed
        assert caf.get("/desk/ranked-needs?band=strong&band=none").status_code == 200

    @pytest.mark.parametrize("role", sorted(set(Role) - {Role.PUBLIC}))
    def test_every_role_has_a_desk(self, sign_in, role):
        assert (
            sign_in(role, "gov-pe" if role == Role.DELEGATE else "").get("/desk").status_code == 200
        )

    def test_the_number_of_queries_does_not_grow_with_the_posts(
        self, exchange, sign_in, count_queries
    ):
        with exchange.writing() as session:
            people = [make_person(session, Role.FOCAL_POINT), make_person(session, Role.PROVIDER)]
        readers = [sign_in(person) for person in people]

        def queries():
            counts = []
            for reader in readers:
                for page in ("/desk", "/desk/needs", "/desk/offers", "/desk/ranked-needs"):
                    reader.get(page)
                    with count_queries() as statements:
                        reader.get(page)
                    counts.append(len(statements))
            return counts

        def fill(number):
            with exchange.writing() as session:
                for _ in range(number):
                    post_need(session)
                    post_offer(session, "caf")

        fill(10)
        before = queries()
        fill(25)
        after = queries()
        assert all(b <= a + 3 for a, b in zip(before, after, strict=True)), (before, after)
        assert max(after) < 90


def test_names_of_fields_are_each_readers_own_whoever_came_first(exchange, sign_in):
    with exchange.writing() as session:
        post_offer(session, "caf", places=40)
        people = [
            make_person(session, Role.PROVIDER, "caf", language=language)
            for language in ("es", "en")
        ]
    assert "Cupos en total" in sign_in(people[0]).get("/desk/offers").text
    assert "Places in all" in sign_in(people[1]).get("/desk/offers").text
