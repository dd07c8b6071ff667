"""The pages of clearing rounds and pools: what each reader sees and can do there."""

from __future__ import annotations

import re

import pytest

from models import ClearingRound, Need, NeedPool, PostStatus, Role, RoundProposal
from tests.broker.factories import make_person, post_need, post_offer


@pytest.fixture
def posts(exchange):
    """Two countries that want more of one offer than it has, and a need that nobody serves."""
    finance = [{"kind": "finance", "modality": "grant", "detail": "A grant"}]
    with exchange.writing() as session:
        made = [
            post_need(session, "gov-pe", title="Buyers of Lima", places_wanted=4),
            post_need(session, "gov-bo", title="Buyers of La Paz", places_wanted=4),
            post_need(session, "gov-br", title="Money alone", support=finance),
            post_offer(session, title="Course", places=6, places_per_beneficiary=4),
        ]
        return [post.id for post in made], [post.reference for post in made]


@pytest.fixture
def office(sign_in):
    return sign_in(Role.SECRETARIAT)


@pytest.fixture
def address(office, posts):
    """A round that is open and cleared once."""
    answer = office.post("/secretariat/rounds/new", data={"name": "Spring", "policy": "fair"})
    assert answer.status_code == 302
    assert office.post(f"{answer.location}/clear").status_code == 302
    return answer.location


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.get_data(as_text=True)).split())


def proposals(exchange):
    with exchange.reading() as session:
        return {p.need_id: p.id for p in session.query(RoundProposal)}


def test_round_shows_table_picture_prices_and_the_policies_side_by_side(office, address):
    page = office.get(address)
    words = text_of(page)
    for said in (
        "Buyers of Lima", "Buyers of La Paz", "Where one more place would help most", "Course",
        "Fair against total", "Greatest total", "Stable", "2 need", "1 need is left out",
    ):  # fmt: skip
        assert said in words, said
    body = page.get_data(as_text=True)
    assert body.count("<path d=") == 2
    assert 'role="img"' in body
    assert "style=" not in body


def test_coordinator_sees_her_subregion_alone(office, address, sign_in):
    andes, caribbean = (
        sign_in(Role.COORDINATOR, subregion=subregion) for subregion in ("andean", "caribbean")
    )
    words = text_of(andes.get(address))
    assert "Buyers of Lima" in words
    assert "your subregion, Andean" in words
    words = text_of(caribbean.get(address))
    assert "Buyers of Lima" not in words
    assert "Peru" not in words
    settings = {"name": "Spring", "policy": "fair", "subregion": "andean"}
    office.post(f"{address}/settings", data=settings)
    assert andes.get(address).status_code == 200
    assert caribbean.get(address).status_code == 404
    assert "Spring" not in text_of(caribbean.get("/secretariat/rounds"))


@pytest.fixture
def money(exchange):
    """A budget in euros, and a need in dollars that wants more."""
    finance = [{"kind": "finance", "modality": "grant", "detail": "A grant"}]
    with exchange.writing() as session:
        need = post_need(
            session, "gov-pe", title="A fund", support=finance, money_most=90_000, currency="USD"
        )
        post_offer(session, "caf", title="A purse", support=finance, money=20_000, currency="EUR")
        return need.id


def test_grants_stand_with_their_rates_and_where_more_money_would_help(
    office, exchange, posts, money, address, sign_in
):
    words = text_of(office.get(address))
    for said in (
        "EUR 20,000", "Where more money would help most", "one more USD 1,000 adds",
        "of USD 90,000", "The rates by which amounts were compared", "EUR",
    ):  # fmt: skip
        assert said in words, said
    office.post(f"{address}/send")
    bank = sign_in(Role.PROVIDER, "caf")
    words = text_of(bank.get(f"/proposals/{proposals(exchange)[money]}"))
    assert "EUR 20,000" in words
    assert "for the need, at" in words
    assert "EUR 20,000" in text_of(bank.get("/proposals"))


def test_sealed_amount_is_on_no_page_but_its_own_sides(office, exchange, posts, money, sign_in):
    with exchange.writing() as session:
        need = session.get_one(Need, money)
        need.money_sealed, need.money_most = True, 12_345
    made = office.post("/secretariat/rounds/new", data={"name": "Spring", "policy": "fair"})
    office.post(f"{made.location}/clear")
    office.post(f"{made.location}/send")
    bank = sign_in(Role.PROVIDER, "caf")
    number = proposals(exchange)[money]
    for reader, page in (
        (office, made.location), (bank, f"/proposals/{number}"), (bank, "/proposals"),
    ):  # fmt: skip
        words = text_of(reader.get(page))
        assert "12,345" not in words
        assert "sealed" in words
    assert "USD 12,34" in text_of(sign_in(Role.FOCAL_POINT).get(f"/proposals/{number}"))


def test_clearing_of_a_large_exchange_leads_to_the_job_s_page(office, address, monkeypatch):
    monkeypatch.setattr("broker.clearing.LARGE", 1)
    answer = office.post(f"{address}/clear")
    assert answer.status_code == 302
    assert answer.location.startswith("/jobs/")


def test_left_out_need_stands_with_its_reason(office, address):
    words = text_of(office.get(f"{address}?show=left_out"))
    assert "Money alone" in words
    assert "No offer on the exchange matches it." in words


def test_round_is_changed_cleared_again_and_both_versions_stay(office, address):
    data = {"name": "Autumn", "policy": "total", "small_island": "0"}
    assert office.post(f"{address}/settings", data=data).status_code == 302
    office.post(f"{address}/clear")
    words = text_of(office.get(address))
    assert "Autumn" in words
    assert "Version 2" in words
    assert "Version 1" in text_of(office.get(f"{address}?version=1"))
    assert office.get(f"{address}?version=9").status_code == 404


def test_version_is_replayed_on_the_page(office, address):
    answer = office.post(f"{address}/replay", data={"version": "1"}, follow_redirects=True)
    assert "the result is the same" in text_of(answer)


def test_wrong_settings_are_shown_at_their_field_and_nothing_typed_is_lost(office):
    data = {"name": "Kept name", "policy": "fair", "small_island": "many"}
    answer = office.post("/secretariat/rounds/new", data=data)
    assert answer.status_code == 422
    assert 'value="Kept name"' in answer.get_data(as_text=True)
    assert 'id="small_island-problem"' in answer.get_data(as_text=True)


def test_rules_are_kept_with_their_reason_and_taken_off(office, address, posts):
    references = posts[1]
    data = {"kind": "forbidden", "need": references[0], "offer": references[3]}
    answer = office.post(f"{address}/rules", data=data)
    assert answer.status_code == 422
    answer = office.post(
        f"{address}/rules", data={**data, "reason": "They work already"}, follow_redirects=True
    )
    assert "They work already" in text_of(answer)
    again = office.post(f"{address}/rules", data={**data, "reason": "Twice"})
    assert again.status_code == 409
    assert "has a rule" in text_of(again)
    removal = re.search(r"/rules/(\d+)/remove", answer.get_data(as_text=True)).group()
    answer = office.post(f"{address}{removal}", follow_redirects=True)
    assert "They work already" not in text_of(answer)


def test_pairs_that_cannot_hold_together_are_named_on_the_page(office, address, posts, exchange):
    references = posts[1]
    with exchange.writing() as session:
        found = session.get_one(ClearingRound, int(address.rsplit("/", 1)[1]))
        assert found.latest is not None
        offer = post_offer(session, title="Last seat", places=1)
        reference = offer.reference
    for need in references[:2]:
        data = {"kind": "forced", "need": need, "offer": reference, "reason": "Promised"}
        assert office.post(f"{address}/rules", data=data).status_code == 302
    answer = office.post(f"{address}/clear")
    assert answer.status_code == 409
    assert f"{references[0]} ← {reference}" in text_of(answer)
    assert "Version 2" not in text_of(office.get(address))


def test_two_sides_find_the_proposal_on_their_desks_and_accept(
    office, address, posts, exchange, sign_in
):
    need_id = posts[0][0]
    answer = office.post(f"{address}/send", follow_redirects=True)
    assert "2 proposals are with both their sides now" in text_of(answer)
    number = proposals(exchange)[need_id]
    peru, force = sign_in(Role.FOCAL_POINT), sign_in(Role.TASK_FORCE)
    for reader in (peru, force):
        desk = reader.get("/desk")
        assert f'href="/proposals/{number}"' in desk.get_data(as_text=True)
        page = reader.post(
            f"/proposals/{number}/answer", data={"accept": "true"}, follow_redirects=True
        )
        assert page.status_code == 200
    assert "Propose an agreement" in text_of(page)
    assert f'href="/proposals/{number}"' not in peru.get("/desk").get_data(as_text=True)
    assert sign_in(Role.FOCAL_POINT, "gov-br").get(f"/proposals/{number}").status_code == 404


def test_all_proposals_of_an_organisation_stand_in_one_list(
    office, address, posts, exchange, sign_in
):
    office.post(f"{address}/send")
    words = text_of(sign_in(Role.TASK_FORCE).get("/proposals"))
    assert words.count("Your answer is awaited") == 2
    assert "Buyers of Lima" in words
    assert "Buyers of La Paz" not in text_of(sign_in(Role.FOCAL_POINT).get("/proposals"))


def test_declining_needs_a_reason_and_keeps_the_message(office, address, posts, exchange, sign_in):
    office.post(f"{address}/send")
    number = proposals(exchange)[posts[0][1]]
    bolivia = sign_in(Role.FOCAL_POINT, "gov-bo")
    data = {"accept": "false", "message": "Not this year."}
    answer = bolivia.post(f"/proposals/{number}/answer", data=data)
    assert answer.status_code == 422
    assert "Not this year." in text_of(answer)
    data["reason"] = "too_late"
    assert bolivia.post(f"/proposals/{number}/answer", data=data).status_code == 302
    assert "declines" in text_of(office.get(address))


def test_offer_withdrawn_meanwhile_is_told_in_words(office, address, posts, exchange, sign_in):
    office.post(f"{address}/send")
    number = proposals(exchange)[posts[0][0]]
    with exchange.writing() as session:
        proposal = session.get(RoundProposal, number)
        proposal.offer.status = PostStatus.WITHDRAWN
        reference = proposal.offer.reference
    answer = sign_in(Role.FOCAL_POINT).post(f"/proposals/{number}/answer", data={"accept": "true"})
    assert answer.status_code == 409
    assert reference in text_of(answer)


def test_round_ends_and_can_no_longer_be_cleared(office, address):
    office.post(f"{address}/end", data={"how": "cancel"})
    assert "cancelled" in text_of(office.get(address))
    assert office.post(f"{address}/clear").status_code == 409
    assert office.post(f"{address}/end", data={"how": "close"}).status_code == 409


def test_coordinator_reads_rounds_and_changes_none(address, sign_in):
    coordinator = sign_in(Role.COORDINATOR)
    page = coordinator.get(address)
    assert page.status_code == 200
    assert f"{address}/clear" not in page.get_data(as_text=True)
    assert coordinator.post(f"{address}/clear").status_code == 403


def test_countries_consent_to_a_pool_on_their_desks(office, posts, exchange, sign_in):
    with exchange.writing() as session:
        make_person(session, Role.COORDINATOR)
    page = office.get("/secretariat/pools")
    assert "Buyers of Lima" in text_of(page)
    answer = office.post("/secretariat/pools", data={"need": [str(n) for n in posts[0][:2]]})
    assert answer.status_code == 302
    for organisation in ("gov-pe", "gov-bo"):
        focal = sign_in(Role.FOCAL_POINT, organisation)
        assert f'href="{answer.location}"' in focal.get("/desk").get_data(as_text=True)
        said = focal.post(
            f"{answer.location}/answer", data={"consent": "true"}, follow_redirects=True
        )
        assert said.status_code == 200
    assert "all countries consent" in text_of(said)
    with exchange.reading() as session:
        assert session.query(NeedPool).one().need.status == PostStatus.DRAFT
    assert sign_in(Role.FOCAL_POINT, "gov-br").get(answer.location).status_code == 404


def test_a_rounds_page_asks_the_database_no_more_for_more_needs(
    office, address, exchange, count_queries
):
    def asked():
        with count_queries() as statements:
            assert office.get(address).status_code == 200
        return len(statements)

    first = asked()
    with exchange.writing() as session:
        for code in ("gov-ec", "gov-co", "gov-cl", "gov-ar", "gov-uy"):
            post_need(session, code, places_wanted=1)
            post_offer(session, "caf", places=2)
    office.post(f"{address}/clear")
    assert asked() <= first + 2
