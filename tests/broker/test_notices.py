"""Being told: who hears of what, once, in her own language, and never of what is not hers."""

from datetime import date

import pytest

from broker import agreements, interests, posts
from broker.endorsements import decline_endorsement, endorse_need
from broker.merging import merge_organisations
from broker.news import tell_of_entry, tell_of_invitation
from broker.notices import (
    KINDS,
    TOPICS,
    choose_mail,
    count_by_topic,
    count_unread,
    find_notices,
    invitation_of,
    mail_choices,
    mark_all_read,
    mark_read,
    notify,
    path_to,
    sentence_of,
    topics_for,
)
from broker.speech import speaking
from models import (
    Agreement,
    Entry,
    Frequency,
    InvitationStatus,
    Match,
    NeedPool,
    NotFound,
    Notice,
    PilotInvitation,
    Role,
    RoundProposal,
    User,
)
from tests.broker.factories import days, make_person, post_need, post_offer
from tests.factories import make_organisation, make_user


def told(session, user, kind=""):
    found = session.scalars(find_notices(user))
    return [notice for notice in found if kind in ("", notice.kind)]


def say(exchange, notice, language="en"):
    with speaking(language):
        return sentence_of(notice, exchange.reference, language)


@pytest.fixture
def pair(exchange):
    """A need of Peru and an offer of a task force, with two people on either side."""
    with exchange.writing() as session:
        need = post_need(session, translations={"es": {"title": "Formar compradores"}})
        offer = post_offer(session)
        asking = [make_person(session, Role.FOCAL_POINT) for _ in range(2)]
        giving = [make_person(session, Role.TASK_FORCE) for _ in range(2)]
        yield session, need, offer, asking, giving


class TestInterest:
    def test_the_other_side_is_told_and_nobody_of_the_own(self, exchange, pair):
        session, need, offer, asking, giving = pair
        interests.express_interest(
            session, asking[0], need, offer, score=80.0, message="When could you come?"
        )
        for person in giving:
            (notice,) = told(session, person)
            assert notice.kind == "interest.received"
            assert notice.path == f"/matches/{need.id}/{offer.id}"
            assert notice.facts["comment"] == "When could you come?"
            assert "“Toolkit for buyers”" in say(exchange, notice)
        assert told(session, asking[0]) == told(session, asking[1]) == []

    def test_the_answer_comes_back_with_its_reason(self, exchange, pair):
        session, need, offer, asking, giving = pair
        interests.express_interest(session, giving[0], need, offer, score=None)
        match = interests.find_match(session, need, offer)
        interests.answer_interest(
            session, asking[0], match, accept=False, reason="too_late", message="Next year."
        )
        (notice,) = told(session, giving[1])
        reason = exchange.reference.label("dismissal_reason", "too_late", "es")
        assert reason != "too_late"
        assert notice.kind == "interest.declined"
        assert reason in say(exchange, notice, "es")
        assert "Formar compradores" in say(exchange, notice, "es")
        assert "Train public buyers" in say(exchange, notice, "en")

    def test_dismissing_a_match_that_was_asked_about_is_an_answer(self, pair):
        session, need, offer, asking, giving = pair
        interests.express_interest(session, giving[0], need, offer, score=None)
        interests.dismiss_match(session, asking[0], need, offer, score=None, reason="too_late")
        assert [n.kind for n in told(session, giving[0])] == ["interest.declined"]

    def test_dismissing_what_nobody_asked_about_is_told_to_nobody(self, pair):
        session, need, offer, asking, giving = pair
        interests.dismiss_match(session, asking[0], need, offer, score=None, reason="too_late")
        assert told(session, giving[0]) == []


class TestModeration:
    def test_moderators_of_the_place_hear_of_a_submitted_post_and_its_author_of_the_answer(
        self, exchange
    ):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            office = make_person(session, Role.SECRETARIAT)
            andean = make_person(session, Role.COORDINATOR)
            caribbean = make_person(session, Role.COORDINATOR, subregion="caribbean")
            need = post_need(session, status="draft", author=author)
            posts.submit_post(session, author, need, exchange.reference, today=days(0))
            for person in (office, andean):
                (notice,) = told(session, person)
                assert notice.path == f"/secretariat/queue#post-{need.id}"
            assert told(session, caribbean) == told(session, author) == []
            posts.return_post(session, andean, need, "Say how many buyers.")
            (returned,) = told(session, author)
            assert returned.facts["comment"] == "Say how many buyers."
            posts.submit_post(session, author, need, exchange.reference, today=days(0))
            posts.publish_post(session, office, need, today=days(0))
            assert told(session, author)[0].kind == "post.published"
            assert [n.kind for n in told(session, office)] == ["post.submitted"] * 2

    def test_an_expired_post_is_told_once_to_its_own_people(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            post_need(session, expires_on=days(-1))
            assert len(posts.expire_posts(session, today=days(0))) == 1
            posts.expire_posts(session, today=days(0))
            assert [n.kind for n in told(session, author)] == ["post.expired"]


class TestAgreement:
    def test_each_step_is_told_to_the_other_party(self, exchange, pair):
        session, need, offer, asking, giving = pair
        interests.express_interest(session, asking[0], need, offer, score=None)
        match = interests.find_match(session, need, offer)
        interests.answer_interest(session, giving[0], match, accept=True)
        terms = {
            "title": "Training of buyers",
            "activities": "Two workshops.",
            "starts": days(10).isoformat(),
            "ends": days(90).isoformat(),
            "places": 10,
        }
        found = agreements.propose_agreement(
            session, asking[0], match, terms, exchange.reference, today=days(0)
        )
        agreements.accept_terms(session, giving[0], found, 1)
        agreements.sign_agreement(session, asking[0], found, 1)
        agreements.sign_agreement(session, giving[0], found, 1)
        agreements.start_agreement(session, giving[0], found)
        agreements.complete_agreement(session, giving[0], found, "Ten buyers were trained.")
        path = f"/agreements/{found.id}"
        assert [n.kind for n in reversed(told(session, giving[1])) if n.path == path] == [
            "terms.to_answer",
            "agreement.signed",
        ]
        assert [n.kind for n in reversed(told(session, asking[1])) if n.path == path] == [
            "terms.to_sign",
            "agreement.binding",
            "agreement.started",
            "agreement.completed",
        ]


class TestColleagues:
    def test_a_colleagues_need_goes_to_her_focal_point_and_the_answer_comes_back(self, exchange):
        with exchange.writing() as session:
            focal = make_person(session, Role.FOCAL_POINT)
            colleague = make_person(session, Role.DELEGATE, "gov-pe", ministry="Education")
            office = make_person(session, Role.SECRETARIAT)
            need = post_need(session, status="draft", author=colleague)
            posts.submit_post(session, colleague, need, exchange.reference, today=days(0))
            (asked,) = told(session, focal)
            assert asked.kind == "post.to_endorse"
            assert colleague.name in say(exchange, asked)
            assert told(session, office) == []
            reason = {"comment": "Say which schools."}
            decline_endorsement(
                session, focal, need, exchange.reference, revision=need.revision, **reason
            )
            (returned,) = told(session, colleague)
            assert (returned.kind, returned.facts["comment"]) == (
                "post.returned",
                "Say which schools.",
            )
            posts.submit_post(session, colleague, need, exchange.reference, today=days(0))
            session.flush()
            endorse_need(session, focal, need, revision=need.revision, today=days(0))
            assert told(session, colleague)[0].kind == "post.endorsed"
            assert [n.kind for n in told(session, office)] == ["post.submitted"]
            posts.publish_post(session, office, need, today=days(0))
            assert told(session, colleague)[0].kind == "post.published"


class TestOthers:
    def test_a_merged_organisation_is_told_to_its_people(self, exchange):
        with exchange.writing() as session:
            office = make_person(session, Role.SECRETARIAT)
            kept, gone = (make_organisation(session, "business", "PE") for _ in range(2))
            person = make_user(session, gone, Role.PROVIDER)
            former = gone.name("en")
            data = {"reason": "The same firm.", "sure": True}
            merge_organisations(session, office, kept, gone, data, exchange.reference)
            (notice,) = told(session, person)
            assert f"“{former}” is now part of {kept.name('en')}." in say(exchange, notice)
            assert notice.path == f"/organisations/{kept.code}"

    def test_an_invitation_to_a_pilot_and_its_answer_are_told(self, exchange, app):
        with exchange.writing() as session:
            officer = make_person(session, Role.TASK_FORCE)
            asked = make_person(session, Role.FOCAL_POINT)
            invitation = PilotInvitation(
                task_force=officer.organisation,
                organisation=asked.organisation,
                theme="sustainable_public_procurement",
                message="Would you host it?",
                status=InvitationStatus.ASKED,
                by=officer,
            )
            session.add(invitation)
            session.flush()
            tell_of_invitation(session, officer, invitation)
            (notice,) = told(session, asked)
            assert notice.facts["comment"] == "Would you host it?"
            adapter = app.url_map.bind("localhost")
            assert adapter.match(notice.path)[1] == {"invitation_id": invitation.id}
            invitation.answer_with(asked, willing=True, message="Gladly.")
            tell_of_invitation(session, asked, invitation)
            assert [n.kind for n in told(session, officer)] == ["invitation.accepted"]

    def test_an_entry_of_the_directory_is_told_like_a_post(self, exchange, app):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            office = make_person(session, Role.SECRETARIAT)
            entry = Entry(
                kind="practice",
                reference="practice-test-1",
                organisation=author.organisation,
                author=author,
                language="es",
                title="Compras verdes",
                status="submitted",
            )
            session.add(entry)
            session.flush()
            tell_of_entry(session, author, entry, "entry.submitted")
            assert [n.kind for n in told(session, office)] == ["entry.submitted"]
            entry.publish(office, days(0))
            tell_of_entry(session, office, entry, "entry.published")
            (notice,) = told(session, author)
            assert "“Compras verdes”" in say(exchange, notice)
            assert app.url_map.bind("localhost").match(notice.path)[1] == {"entry_id": entry.id}


class TestTelling:
    def test_nobody_is_told_of_what_she_may_not_see(self, exchange):
        with exchange.writing() as session:
            stranger = make_person(session, Role.PROVIDER)
            draft = post_need(session, status="draft")
            assert notify(session, [stranger], "post.published", draft, title={"en": "x"}) == []

    def test_nobody_is_told_of_one_event_twice(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            need = post_need(session)
            for _ in range(2):
                notify(session, [author, author], "post.published", need, once="published:1")
            assert len(told(session, author)) == 1

    def test_a_closed_account_is_told_nothing(self, exchange):
        with exchange.writing() as session:
            need = post_need(session)
            gone = make_person(session, Role.FOCAL_POINT, active=False)
            assert notify(session, [gone], "post.published", need) == []

    def test_a_fact_that_is_missing_is_a_dash_and_a_hostile_title_stays_text(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            need = post_need(session)
            title = {"en": "100 %(x)s <script>"}
            notify(session, [author], "post.withdrawn", need, title=title)
            (notice,) = told(session, author)
            assert "“100 %(x)s <script>”" in say(exchange, notice)
            assert "–" in say(exchange, notice)

    def test_telling_a_thousand_people_takes_few_queries(self, exchange, count_queries):
        with exchange.writing() as session:
            need = post_need(session)
            home = need.organisation
            people = [make_user(session, home, Role.FOCAL_POINT) for _ in range(1000)]
            session.flush()
            with count_queries() as statements:
                notify(session, people, "post.published", need, title={"en": "x"})
                session.flush()
            assert len([s for s in statements if s.startswith("SELECT")]) <= 4


class TestReading:
    def test_notices_are_counted_filtered_and_marked_by_their_own_reader_alone(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            other = make_person(session, Role.PROVIDER)
            need = post_need(session)
            notify(session, [author], "post.published", need)
            notify(session, [author], "post.expiring", need, due=date(2027, 1, 2))
            assert count_unread(session, author) == 2
            assert count_by_topic(session, author) == {"post": (2, 2)}
            newest = told(session, author)[0]
            assert "January 2, 2027" in say(exchange, newest)
            with pytest.raises(NotFound):
                mark_read(session, other, newest.id)
            mark_read(session, author, newest.id)
            mark_read(session, author, newest.id)
            assert count_unread(session, author) == 1
            assert len(list(session.scalars(find_notices(author, unread=True)))) == 1
            assert list(session.scalars(find_notices(author, "interest"))) == []

    def test_marking_all_leaves_what_came_after_the_list_was_shown(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            need = post_need(session)
            notify(session, [author], "post.published", need)
            (first,) = told(session, author)
            notify(session, [author], "post.expired", need)
            assert mark_all_read(session, author, until=first.created_at) == 1
            assert count_unread(session, author) == 1


class TestChoices:
    def test_what_waits_follows_the_choice(self, exchange):
        with exchange.writing() as session:
            author = make_person(session, Role.FOCAL_POINT)
            need = post_need(session)
            notify(session, [author], "post.published", need)
            choose_mail(session, author, {"post": "never"})
            session.expire_all()
            assert told(session, author)[0].due_at is None
            notify(session, [author], "post.expired", need)
            assert told(session, author, "post.expired")[0].due_at is None
            assert mail_choices(session, author)["post"] == Frequency.NEVER
            choose_mail(session, author, {"post": "weekly"})
            notify(session, [author], "post.expiring", need)
            assert told(session, author, "post.expiring")[0].due_at.weekday() == 0

    def test_only_moderators_choose_about_posts_to_review(self):
        assert "review" not in topics_for(User(role=Role.FOCAL_POINT))
        assert "review" in topics_for(User(role=Role.SECRETARIAT))


def test_every_kind_has_a_topic_and_words_in_every_language(exchange):
    assert {kind.topic for kind in KINDS.values()} <= set(TOPICS)
    for language in ("en", "es", "pt", "fr"):
        for code in KINDS:
            notice = Notice(kind=code, facts={})
            assert "%(" not in say(exchange, notice, language)
            with speaking(language):
                assert invitation_of(notice)


def test_every_path_of_a_notice_is_a_page(exchange, app, pair):
    _session, need, offer, _asking, _giving = pair
    found = [
        need,
        offer,
        need.organisation,
        Match(need_id=1, offer_id=2),
        Agreement(id=3),
        RoundProposal(id=4),
        NeedPool(id=5),
    ]
    adapter = app.url_map.bind("localhost")
    endpoints = [adapter.match(path_to(entity))[0] for entity in found]
    assert endpoints == [
        "posts.page",
        "posts.page",
        "public.organisation",
        "matches.pair",
        "agreements.show",
        "clearing.proposal",
        "clearing.pool",
    ]
