"""The secretariat's pages: what waits, review, accounts, runs, the audit trail."""

import re
from datetime import date, timedelta
from html import unescape

import pytest
from sqlalchemy import select

from broker.accounts import sign_in as check_password
from broker.endorsements import invite_delegate
from broker.jobs import do_waiting_jobs
from broker.posts import edit_post, save_draft, submit_post
from models import (
    AgreementStatus,
    AuditEvent,
    MatchRun,
    Milestone,
    Need,
    NotAllowed,
    Offer,
    Organisation,
    PostStatus,
    Role,
    User,
)
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.broker.report_factories import make_interest, make_run
from tests.factories import make_agreement

DAY = timedelta(days=1)
ACCOUNT_PASSWORD = "three calm rivers"


@pytest.fixture
def office(sign_in):
    """A browser of the secretariat."""
    return sign_in(Role.SECRETARIAT)


@pytest.fixture
def andean(sign_in):
    """A browser of the coordinator of the Andean region."""
    return sign_in(Role.COORDINATOR)


def _text(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True))).split())


# --- The desk


def test_the_desk_tells_what_waits(exchange, office):
    with exchange.writing() as session:
        post_need(session, title="Waiting for review", status="submitted")
        make_interest(session, post_need(session), post_offer(session), days_ago=15)
        make_interest(session, post_need(session), post_offer(session), days_ago=2)
        made = make_agreement(
            session, post_need(session), post_offer(session), status=AgreementStatus.ACTIVE,
            places=1,
        )  # fmt: skip
        late = Milestone(agreement=made, title="First workshop", due=date(2020, 1, 1))
        session.add_all([late, Milestone(agreement=made, title="Second", due=date(2090, 1, 1))])
        make_run(session)
    words = _text(office.get("/secretariat"))
    assert "1 post to review" in words
    assert "1 interest without an answer for 14 days" in words
    assert "1 late milestone" in words
    assert "Waiting for review" in words
    assert "First workshop" in words
    assert "Run 1 of" in words


def test_a_coordinators_desk_holds_her_subregion_alone(exchange, andean):
    with exchange.writing() as session:
        for organisation in ("gov-pe", "gov-jm"):
            post_need(session, organisation, title=f"Of {organisation}", status="submitted")
            make_interest(
                session, post_need(session, organisation), post_offer(session), days_ago=20
            )
    words = _text(andean.get("/secretariat"))
    assert "1 post to review" in words
    assert "1 interest without an answer" in words
    assert "Of gov-pe" in words
    assert "Of gov-jm" not in words


def test_late_milestones_have_a_list_of_their_own(exchange, office):
    with exchange.writing() as session:
        for status in (AgreementStatus.SIGNED, AgreementStatus.COMPLETED):
            made = make_agreement(
                session, post_need(session), post_offer(session), status=status, places=1
            )
            session.add(Milestone(agreement=made, title=f"Step {status}", due=date(2020, 1, 1)))
    words = _text(office.get("/secretariat/milestones"))
    assert "Step signed" in words
    assert "Step completed" not in words


def test_before_anything_has_happened_every_page_opens(office):
    for page in ("", "/queue", "/milestones", "/runs", "/report", "/audit", "/users"):
        assert office.get(f"/secretariat{page}").status_code == 200


# --- Review


def test_the_queue_shows_the_longest_waiting_first_with_what_they_leave_open(exchange, office):
    with exchange.writing() as session:
        newer = post_need(session, title="The newer one", status="submitted", themes=[])
        older = post_offer(session, title="The older one", status="submitted")
        newer.submitted_at = newer.created_at
        older.submitted_at = newer.created_at - 3 * DAY
    words = _text(office.get("/secretariat/queue"))
    assert words.index("The older one") < words.index("The newer one")
    assert words.count("No theme: it can be found by its words alone") == 1


def test_publishing_puts_a_post_on_the_exchange(exchange, office):
    with exchange.writing() as session:
        post = post_need(session, status="submitted")
    answer = office.post(
        f"/secretariat/queue/needs/{post.id}/publish", data={"revision": post.revision}
    )
    assert answer.status_code == 302
    with exchange.reading() as session:
        assert session.get(Need, post.id).status == PostStatus.PUBLISHED
        event = session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc())).first()
        assert (event.action, event.reference) == ("post.published", post.reference)


def test_nobody_publishes_what_she_has_not_read(exchange, office):
    with exchange.writing() as session:
        author = make_person(session, Role.FOCAL_POINT)
        post = post_need(session, status="submitted", author=author)
        read = post.revision
    with exchange.writing() as session:
        post = session.get(Need, post.id)
        edit_post(session, author, post, {"title": "Another title"}, exchange.reference)
    answer = office.post(f"/secretariat/queue/needs/{post.id}/publish", data={"revision": read})
    assert answer.status_code == 409
    for broken in ({}, {"revision": "x"}):
        answer = office.post(f"/secretariat/queue/needs/{post.id}/publish", data=broken)
        assert answer.status_code == 409
    with exchange.reading() as session:
        assert session.get(Need, post.id).status != PostStatus.PUBLISHED


def test_a_post_goes_back_with_a_comment(exchange, office):
    with exchange.writing() as session:
        post = post_offer(session, status="submitted")
    office.post(
        f"/secretariat/queue/offers/{post.id}/return",
        data={"revision": post.revision, "comment": "Please say for whom."},
    )
    with exchange.reading() as session:
        found = session.get(Offer, post.id)
        assert (found.status, found.comment) == (PostStatus.RETURNED, "Please say for whom.")


@pytest.mark.parametrize("comment", ["", "   ", "x" * 4001])
def test_a_return_without_a_usable_comment_is_told_in_place(exchange, office, comment):
    with exchange.writing() as session:
        post = post_need(session, status="submitted")
    answer = office.post(
        f"/secretariat/queue/needs/{post.id}/return",
        data={"revision": post.revision, "comment": comment},
    )
    assert answer.status_code == 422
    page = answer.get_data(as_text=True)
    assert 'class="problem"' in page
    assert comment in page
    with exchange.reading() as session:
        assert session.get(Need, post.id).status == PostStatus.SUBMITTED


def test_a_coordinator_reviews_only_what_concerns_her_subregion(exchange, andean):
    with exchange.writing() as session:
        hers = post_need(session, "gov-pe", title="Hers", status="submitted")
        other = post_need(session, "gov-jm", title="Of others", status="submitted")
    words = _text(andean.get("/secretariat/queue"))
    assert "Hers" in words
    assert "Of others" not in words
    for post, status in ((hers, 302), (other, 404)):
        answer = andean.post(
            f"/secretariat/queue/needs/{post.id}/publish", data={"revision": post.revision}
        )
        assert answer.status_code == status


def test_nobody_reviews_the_posts_of_her_own_organisation(exchange, office):
    with exchange.writing() as session:
        post = post_offer(session, "unep-rolac", status="submitted")
    page = office.get("/secretariat/queue").get_data(as_text=True)
    assert "a post of your own organisation" in page
    assert f"/queue/offers/{post.id}/publish" not in page
    answer = office.post(
        f"/secretariat/queue/offers/{post.id}/publish", data={"revision": post.revision}
    )
    assert answer.status_code in (403, 404)
    with exchange.reading() as session:
        assert session.get(Offer, post.id).status == PostStatus.SUBMITTED


def test_what_a_post_says_is_shown_as_text(exchange, office):
    with exchange.writing() as session:
        post_need(
            session, title="<script>alert(1)</script>", description="<b>bold</b>",
            status="submitted",
        )  # fmt: skip
    page = office.get("/secretariat/queue").get_data(as_text=True)
    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold" in page


def test_a_sealed_amount_is_sealed_for_its_reviewers_too(exchange, office):
    with exchange.writing() as session:
        post_need(
            session, status="submitted", money_most="7654321", currency="USD", money_sealed=True
        )
    assert "7,654,321" not in _text(office.get("/secretariat/queue"))


def test_the_queue_takes_the_same_queries_for_one_post_and_for_ten(exchange, office, count_queries):
    def queries(number):
        with exchange.writing() as session:
            for _ in range(number):
                post_need(
                    session, status="submitted", author=make_person(session, Role.FOCAL_POINT)
                )
                post_offer(session, status="submitted")
        with count_queries() as statements:
            office.get("/secretariat/queue")
        return len(statements)

    queries(1)
    assert queries(1) == queries(7)


# --- Accounts

ACCOUNT = {
    "email": "new.person@ministry.example",
    "name": "Focal point, Bolivia",
    "role": "focal_point",
    "organisation": "gov-bo",
    "subregion": "",
    "language": "es",
    "password": "",
}


def test_an_account_is_opened_with_a_password_that_is_shown_once(exchange, office):
    answer = office.post("/secretariat/users/new", data=ACCOUNT)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    password = re.search(r'<code class="password">([^<]+)</code>', answer.get_data(as_text=True))[1]
    with exchange.writing() as session:
        user = check_password(session, ACCOUNT["email"], unescape(password))
        assert (user.role, user.organisation.code) == (Role.FOCAL_POINT, "gov-bo")
        events = session.scalars(select(AuditEvent)).all()
        assert not any(password in str((event.before, event.after)) for event in events)
    assert password not in office.get(f"/secretariat/users/{user.id}").get_data(as_text=True)


def test_an_account_may_be_given_a_password_of_ones_own(exchange, office):
    office.post("/secretariat/users/new", data={**ACCOUNT, "password": ACCOUNT_PASSWORD})
    with exchange.writing() as session:
        assert check_password(session, ACCOUNT["email"], ACCOUNT_PASSWORD)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"email": ""}, "Please fill this in."),
        ({"email": "nobody"}, "not an e-mail address"),
        ({"name": ""}, "Please fill this in."),
        ({"name": "x" * 121}, "too long"),
        ({"role": "king"}, "Choose one of the roles."),
        ({"role": ""}, "Choose one of the roles."),
        ({"role": "public"}, "Choose one of the roles."),
        ({"organisation": ""}, "Please fill this in."),
        ({"organisation": "gov-xx"}, "not one of the known codes"),
        ({"role": "coordinator"}, "Please fill this in."),
        ({"subregion": "moon"}, "not one of the known codes"),
        ({"language": "la"}, "Choose one of the four languages."),
        ({"password": "short"}, "at least 12 characters"),
    ],
)
def test_a_wrong_account_is_told_at_the_field_and_nothing_is_lost(exchange, office, wrong, told):
    answer = office.post("/secretariat/users/new", data={**ACCOUNT, **wrong})
    assert answer.status_code == 422
    page = unescape(answer.get_data(as_text=True))
    problems = re.findall(r'class="problem"[^>]*>(.*?)</div>', page, re.DOTALL)
    assert len(problems) == 1
    assert told in problems[0]
    kept = {**ACCOUNT, **wrong}
    if "name" not in wrong:
        assert kept["name"] in page
    with exchange.reading() as session:
        assert session.scalar(select(User).where(User.email == ACCOUNT["email"])) is None


def test_an_address_has_one_account(office):
    office.post("/secretariat/users/new", data=ACCOUNT)
    answer = office.post("/secretariat/users/new", data=ACCOUNT)
    assert answer.status_code == 409
    assert "exists already" in _text(answer)


def test_accounts_are_found_by_name_address_organisation_and_role(exchange, office):
    with exchange.writing() as session:
        make_person(session, Role.FOCAL_POINT, name="Punto focal, Perú", email="pe@demo.example")
        make_person(session, Role.PROVIDER, "eclac", name="Officer", email="officer@demo.example")
    for search, found, missed in (
        ("q=punto", "pe@demo.example", "officer@demo.example"),
        ("q=officer@", "officer@demo.example", "pe@demo.example"),
        ("q=CEPAL", "officer@demo.example", "pe@demo.example"),
        ("role=provider", "officer@demo.example", "pe@demo.example"),
    ):
        words = _text(office.get(f"/secretariat/users?{search}"))
        assert found in words, search
        assert missed not in words, search
    assert "No account fits" in _text(office.get("/secretariat/users?q=%25"))
    assert office.get("/secretariat/users?role=king").status_code == 404


def test_granting_a_role_moves_an_account(exchange, office):
    with exchange.writing() as session:
        user = make_person(session, Role.FOCAL_POINT)
    office.post(
        f"/secretariat/users/{user.id}/role",
        data={"role": "coordinator", "organisation": "gov-cl", "subregion": "southern_cone"},
    )
    with exchange.reading() as session:
        found = session.get(User, user.id)
        assert (found.role, found.subregion) == (Role.COORDINATOR, "southern_cone")
        assert found.organisation.code == "gov-cl"


def test_a_coordinator_without_a_subregion_is_refused_at_the_field(exchange, office):
    with exchange.writing() as session:
        user = make_person(session, Role.FOCAL_POINT)
    answer = office.post(
        f"/secretariat/users/{user.id}/role",
        data={"role": "coordinator", "organisation": "gov-cl", "subregion": ""},
    )
    assert answer.status_code == 422
    assert 'id="subregion-problem"' in answer.get_data(as_text=True)
    with exchange.reading() as session:
        assert session.get(User, user.id).role == Role.FOCAL_POINT


def test_a_closed_account_cannot_sign_in_until_it_is_opened_again(exchange, office):
    office.post("/secretariat/users/new", data={**ACCOUNT, "password": ACCOUNT_PASSWORD})
    with exchange.reading() as session:
        number = session.scalar(select(User.id).where(User.email == ACCOUNT["email"]))
    office.post(f"/secretariat/users/{number}/active", data={"active": "false"})
    with exchange.writing() as session, pytest.raises(NotAllowed):
        check_password(session, ACCOUNT["email"], ACCOUNT_PASSWORD)
    office.post(f"/secretariat/users/{number}/active", data={"active": "true"})
    with exchange.writing() as session:
        assert check_password(session, ACCOUNT["email"], ACCOUNT_PASSWORD)


def test_nobody_closes_or_demotes_her_own_account(exchange, sign_in):
    with exchange.writing() as session:
        me = make_person(session, Role.SECRETARIAT)
    office = sign_in(me)
    assert "your own account" in _text(office.get(f"/secretariat/users/{me.id}"))
    answer = office.post(f"/secretariat/users/{me.id}/active", data={"active": "false"})
    assert answer.status_code == 403
    answer = office.post(
        f"/secretariat/users/{me.id}/role", data={"role": "provider", "organisation": "eclac"}
    )
    assert answer.status_code == 403


def test_a_lost_password_is_replaced(exchange, office):
    office.post("/secretariat/users/new", data={**ACCOUNT, "password": ACCOUNT_PASSWORD})
    with exchange.reading() as session:
        number = session.scalar(select(User.id).where(User.email == ACCOUNT["email"]))
    page = office.post(f"/secretariat/users/{number}/password").get_data(as_text=True)
    password = unescape(re.search(r'<code class="password">([^<]+)</code>', page)[1])
    with exchange.writing() as session:
        assert check_password(session, ACCOUNT["email"], password)


# --- Organisations


def test_organisations_are_found_by_name_in_any_language(exchange, office):
    with exchange.writing() as session:
        post_offer(session, "eclac")
    for search in ("CEPAL", "eclac", "Comisión+Económica"):
        words = _text(office.get(f"/secretariat/organisations?q={search}"))
        assert "Offers: 1" in words, search
    assert "No organisation fits" in _text(office.get("/secretariat/organisations?q=zzzzz"))


def test_a_trusted_organisation_is_marked_and_can_be_reviewed_again(exchange, office):
    for trusted in (True, False):
        office.post(
            "/secretariat/organisations/eclac/trust", data={"trusted": str(trusted).lower()}
        )
        with exchange.reading() as session:
            found = session.scalar(select(Organisation).where(Organisation.code == "eclac"))
            assert found.trusted is trusted


# --- Match runs


def test_the_secretariat_runs_matching_from_a_button(exchange, office):
    with exchange.writing() as session:
        post_need(session)
        post_offer(session)
    answer = office.post("/secretariat/runs", follow_redirects=True)
    assert "waiting for its turn" in _text(answer)
    assert answer.headers["Refresh"]
    do_waiting_jobs(exchange)
    done = office.get(answer.request.path)
    assert "Refresh" not in done.headers
    [address] = re.findall(r'href="(/secretariat/runs/\d+)"', done.get_data(as_text=True))
    assert "1 of them are matches" in _text(office.get(address))
    with exchange.reading() as session:
        run = session.scalars(select(MatchRun)).one()
        assert (run.matches, run.by.role) == (1, Role.SECRETARIAT)


def test_a_coordinator_reads_runs_and_starts_none(exchange, andean):
    with exchange.writing() as session:
        run = make_run(session, [(post_need(session), post_offer(session), 80.0)])
    assert "Run matching now" not in _text(andean.get("/secretariat/runs"))
    assert andean.post("/secretariat/runs").status_code == 403
    assert andean.get(f"/secretariat/runs/{run.id}").status_code == 200


def test_the_matches_of_a_run_are_read_by_band(exchange, office):
    with exchange.writing() as session:
        first, second = post_need(session, title="First"), post_need(session, title="Second")
        offer = post_offer(session)
        run = make_run(session, [(first, offer, 75.0), (second, offer, 50.0)])
    everything = _text(office.get(f"/secretariat/runs/{run.id}"))
    assert everything.index("First") < everything.index("Second")
    assert "All (2) strong match (1) possible match (1)" in everything
    strong = _text(office.get(f"/secretariat/runs/{run.id}?band=strong"))
    assert "First" in strong
    assert "Second" not in strong
    assert office.get(f"/secretariat/runs/{run.id}?band=purple").status_code == 404
    assert office.get("/secretariat/runs/4711").status_code == 404


@pytest.mark.parametrize(
    "address", ["audit?action=colour", "organisations?kind=colour", "users/4711"]
)
def test_an_address_that_asks_for_what_does_not_exist_is_answered_with_a_page(office, address):
    answer = office.get(f"/secretariat/{address}")
    assert answer.status_code == 404
    assert "<h1>" in answer.get_data(as_text=True)


# --- The audit trail


def test_the_audit_trail_is_searched_by_action_entity_person_and_reference(exchange, office):
    with exchange.writing() as session:
        author = make_person(session, Role.FOCAL_POINT, name="Author of posts")
        post = post_need(session, author=author)
        edit_post(session, author, post, {"title": "Second title"}, exchange.reference)
    for search in (
        "action=post.edited",
        "entity=need",
        "person=author+of",
        f"person={author.email}",
        f"reference={post.reference}",
    ):
        words = _text(office.get(f"/secretariat/audit?{search}"))
        assert "1 event " in words, search
        assert "Author of posts · changed a post" in words, search
    assert "No event fits" in _text(office.get("/secretariat/audit?person=nobody"))


def test_an_event_tells_what_was_and_what_is(exchange, office):
    with exchange.writing() as session:
        author = make_person(session, Role.FOCAL_POINT)
        post = post_need(session, author=author, title="The first title")
        edit_post(session, author, post, {"title": "The second title"}, exchange.reference)
    page = office.get("/secretariat/audit").get_data(as_text=True)
    assert re.search(r"The\s*<del>first\s*</del>\s*<ins>second\s*</ins>\s*title", page)


def test_the_audit_trail_keeps_sealed_amounts_sealed(exchange, office):
    with exchange.writing() as session:
        author = make_person(session, Role.FOCAL_POINT)
        post = post_need(
            session, author=author, money_most="7654321", currency="USD", money_sealed=True
        )
        edit_post(session, author, post, {"money_most": "8765432"}, exchange.reference)
    words = _text(office.get("/secretariat/audit?entity=need"))
    assert "7654321" not in words
    assert "8765432" not in words
    assert "sealed: kept from everybody but its organisation" in words


def test_the_audit_trail_is_searched_by_words_and_days(exchange, office):
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT)
        need = save_draft(
            session, by, "need", {"title": "Agua para 17 curtiembres"}, exchange.reference
        )
        edit_post(session, by, need, {"title": "Agua para 21 fábricas"}, exchange.reference)
    found = _text(office.get("/secretariat/audit?q=curtiembres"))
    assert "began a post" in found
    assert "changed a post" in found
    assert "No event fits" in _text(office.get("/secretariat/audit?q=curtiembres&until=2001-01-01"))
    assert "changed a post" in _text(office.get("/secretariat/audit?q=fábricas&since=2001-01-01"))
    assert office.get("/secretariat/audit?since=yesterday").status_code == 422


def test_the_audit_trail_shows_what_went_and_what_came_word_by_word(exchange, office):
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT)
        need = save_draft(session, by, "need", {"title": "Water for tanneries"}, exchange.reference)
        edit_post(session, by, need, {"title": "Water for dairies"}, exchange.reference)
    page = office.get("/secretariat/audit?action=post.edited").get_data(as_text=True)
    assert "Water for" in page
    assert "<del>tanneries</del>" in page.replace(" </del>", "</del>")
    assert "<ins>dairies</ins>" in page


def test_a_sealed_amount_is_not_found_by_guessing_it(exchange, office):
    with exchange.writing() as session:
        by = make_person(session, Role.FOCAL_POINT)
        facts = {"title": "Sealed", "money_most": "48213", "currency": "USD", "money_sealed": True}
        save_draft(session, by, "need", facts, exchange.reference)
    assert "No event fits" in _text(office.get("/secretariat/audit?q=48213"))
    assert "began a post" in _text(office.get("/secretariat/audit?q=Sealed"))


def test_the_queue_shows_a_likely_double_beside_the_post(exchange, office):
    with exchange.writing() as session:
        post_need(session, title="Training of public buyers in greener tenders")
        post_need(
            session,
            title="Training of public buyers in greener tenders",
            status=PostStatus.SUBMITTED,
        )
    page = _text(office.get("/secretariat/queue"))
    assert "may say the same" in page
    assert "On the exchange" in page


def test_a_post_of_few_words_is_called_vague(exchange, office):
    with exchange.writing() as session:
        post_need(session, title="Help", status=PostStatus.SUBMITTED)
    assert "Few words:" in _text(office.get("/secretariat/queue"))


# --- Endorsements and delegations


@pytest.fixture
def delegated(exchange):
    """A colleague of the focal point of Peru who has sent a need."""
    with exchange.writing() as session:
        peru = make_person(session, Role.FOCAL_POINT)
        colleague = {"email": "water@ministry.example", "name": "Water desk", "ministry": "Water"}
        delegate, _password = invite_delegate(session, peru, colleague, exchange.reference)
        data = {
            "title": "Measure our rivers", "description": "How clean are they?",
            "support": [{"kind": "technical_support"}],
        }  # fmt: skip
        need = save_draft(session, delegate, "need", data, exchange.reference)
        submit_post(session, delegate, need, exchange.reference, today=days(0))
        return delegate.id, need.reference


def test_the_list_of_endorsements_keeps_what_nobody_else_may_read(office, andean, delegated):
    for browser in (office, andean):
        text = _text(browser.get("/secretariat/endorsements"))
        assert delegated[1] in text
        assert "Water desk" in text
        assert "waits for the focal point (1)" in text
        assert "Measure our rivers" not in text
    assert "Water desk" not in _text(office.get("/secretariat/endorsements?country=CR"))
    assert "Water desk" not in _text(office.get("/secretariat/endorsements?state=endorsed"))
    assert "Water desk" in _text(office.get("/secretariat/endorsements?state=nonsense&country=x"))


def test_who_writes_for_whom_leads_to_the_account_and_its_needs(office, andean, delegated):
    page = office.get("/secretariat/delegations").text
    assert f"/secretariat/users/{delegated[0]}" in page
    assert "q=Water+desk&amp;state=waiting" in page
    assert f"/secretariat/users/{delegated[0]}" not in andean.get("/secretariat/delegations").text
    assert "Invited by" in office.get(f"/secretariat/users/{delegated[0]}").text
    assert "needs and endorsements" in office.get("/secretariat/users?role=delegate").text


def test_a_focal_points_account_tells_how_many_colleagues_write(exchange, office, delegated):
    with exchange.reading() as session:
        focal = session.scalars(select(User).where(User.role == Role.FOCAL_POINT)).one().id
    assert "1 colleague" in office.get(f"/secretariat/users/{focal}").text


def test_the_lists_cost_as_many_queries_for_one_need_as_for_many(
    exchange, office, delegated, count_queries
):
    def queries(address):
        with count_queries() as statements:
            assert office.get(address).status_code == 200
        return len(statements)

    addresses = ("/secretariat/endorsements", "/secretariat/delegations")
    before = [queries(address) for address in addresses]
    with exchange.writing() as session:
        for code in ("gov-pe", "gov-ec", "gov-cr", "gov-br"):
            author = make_person(session, Role.DELEGATE, code, ministry="Mines")
            post_need(session, code, author=author, status="to_endorse")
    assert [queries(address) for address in addresses] == before
    assert max(before) < 15
