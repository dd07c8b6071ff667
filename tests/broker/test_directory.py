"""Entries of the directories: written, reviewed, told of agreements, offered, cited and found."""

import pytest
from sqlalchemy import select

from broker.directory import (
    blank,
    citable_offers,
    cite_entry,
    cited_entries,
    citing_offers,
    content,
    drop_citation,
    edit_entry,
    entries_to_review,
    get_entry,
    look_after_entries,
    offer_from_entry,
    publish_entry,
    renew_entry,
    return_entry,
    save_entry,
    submit_entry,
    tell_practice,
    visible_content,
)
from broker.directory_search import DirectoryFilter, entries_for, load_entries, search_entries
from broker.notices import sentence_of
from models import (
    AgreementStatus,
    AuditEvent,
    Citation,
    Conflict,
    Entry,
    EntryKind,
    EntryStatus,
    Indicator,
    IndicatorReport,
    InvalidInput,
    NotAllowed,
    NotFound,
    Notice,
    Role,
)
from tests.broker.factories import days, find_organisation, make_person, post_need, post_offer
from tests.factories import make_agreement, people

pytestmark = pytest.mark.usefixtures("backend")

TODAY = days(0)
CURTAIN = {
    "title": "Lavado en circuito cerrado en curtiembres",
    "description": "Tres curtiembres reutilizan el agua del remojo.",
    "themes": ["cleaner_production", "water"],
    "sector": "32110",
    "language": "es",
}


def publish(session, kind=EntryKind.PRACTICE, organisation="gov-pe", on=TODAY, **facts) -> Entry:
    """A published entry, written by the secretariat for an organisation."""
    office = make_person(session, Role.SECRETARIAT)
    country = find_organisation(session, organisation).country_code
    data = {**CURTAIN, "organisation": organisation, "country": country, **facts}
    entry = save_entry(session, office, kind, data, reference_of(session))
    submit_entry(session, office, entry, reference_of(session), today=on)
    if entry.status == EntryStatus.SUBMITTED:
        publish_entry(session, office, entry, today=on)
    session.flush()
    return entry


def reference_of(session):
    return session.info["exchange"].reference


@pytest.fixture
def session(exchange):
    with exchange.writing() as session:
        yield session


# --- Writing and review -----------------------------------------------------------------------


def test_a_draft_may_be_unfinished_and_a_submission_may_not(session):
    author = make_person(session, Role.FOCAL_POINT, "gov-co")
    reference = reference_of(session)
    entry = save_entry(session, author, EntryKind.PRACTICE, {"title": "Riego"}, reference)
    assert entry.reference == "practice-co-001"
    assert entry.country_code == "CO"
    with pytest.raises(InvalidInput) as refused:
        submit_entry(session, author, entry, reference, today=TODAY)
    assert set(refused.value.fields) == {"description"}
    edit_entry(session, author, entry, {"description": "Riego por goteo."}, reference)
    submit_entry(session, author, entry, reference, today=TODAY)
    assert entry.status == EntryStatus.SUBMITTED


def test_a_trusted_organisations_entry_is_public_at_once(session):
    find_organisation(session, "gov-pe").trusted = True
    author = make_person(session, Role.FOCAL_POINT, "gov-pe")
    entry = save_entry(session, author, EntryKind.PRACTICE, CURTAIN, reference_of(session))
    submit_entry(session, author, entry, reference_of(session), today=TODAY)
    assert entry.is_public()


def test_review_is_for_moderators_and_leaves_a_trail(session):
    author = make_person(session, Role.FOCAL_POINT, "gov-co")
    andean = make_person(session, Role.COORDINATOR, "gov-ec", subregion="andean")
    caribbean = make_person(session, Role.COORDINATOR, "gov-tt", subregion="caribbean")
    entry = save_entry(session, author, EntryKind.PRACTICE, CURTAIN, reference_of(session))
    submit_entry(session, author, entry, reference_of(session), today=TODAY)
    session.flush()
    assert entries_to_review(session, caribbean) == []
    assert entries_to_review(session, andean) == [entry]
    return_entry(session, andean, entry, "Name the year.")
    submit_entry(session, author, entry, reference_of(session), today=TODAY)
    publish_entry(session, andean, entry, today=TODAY)
    actions = session.scalars(
        select(AuditEvent.action).where(AuditEvent.entity == "entry").order_by(AuditEvent.id)
    ).all()
    assert actions == [
        "entry.drafted",
        "entry.submitted",
        "entry.returned",
        "entry.submitted",
        "entry.published",
    ]


def test_people_write_for_their_own_organisation_and_moderators_within_their_reach(session):
    reference = reference_of(session)
    provider = make_person(session, Role.PROVIDER, "caf")
    with pytest.raises(InvalidInput):
        save_entry(
            session,
            provider,
            EntryKind.INSTITUTION,
            {**CURTAIN, "organisation": "ihobe"},
            reference,
        )
    andean = make_person(session, Role.COORDINATOR, "gov-ec", subregion="andean")
    for country, allowed in (("PE", True), ("MX", False)):
        data = {**CURTAIN, "organisation": "cet-peru", "country": country}
        if allowed:
            assert save_entry(session, andean, EntryKind.INSTITUTION, data, reference).id
        else:
            with pytest.raises(InvalidInput):
                save_entry(session, andean, EntryKind.INSTITUTION, data, reference)
    with pytest.raises(InvalidInput) as refused:
        save_entry(
            session,
            andean,
            EntryKind.INSTITUTION,
            {**CURTAIN, "organisation": "none-such"},
            reference,
        )
    assert "organisation" in refused.value.fields
    delegate = make_person(session, Role.DELEGATE, "gov-pe")
    with pytest.raises(NotAllowed):
        blank(delegate)


def test_of_two_people_who_edit_the_second_is_told(session):
    entry = publish(session)
    author = make_person(session, Role.FOCAL_POINT, "gov-pe")
    read = entry.revision
    edit_entry(session, author, entry, {"year": 2024}, reference_of(session), revision=read)
    session.flush()
    with pytest.raises(Conflict):
        edit_entry(session, author, entry, {"year": 2025}, reference_of(session), revision=read)


def test_contacts_are_for_people_who_signed_in(session):
    entry = publish(session, contact_email="focal.pe@demo.example")
    assert "contact_email" not in visible_content(entry, None)
    reader = make_person(session, Role.PROVIDER)
    assert visible_content(entry, reader)["contact_email"] == "focal.pe@demo.example"


def test_a_link_to_a_draft_tells_a_stranger_nothing(session):
    author = make_person(session, Role.FOCAL_POINT, "gov-co")
    entry = save_entry(session, author, EntryKind.PRACTICE, CURTAIN, reference_of(session))
    session.flush()
    for stranger in (None, make_person(session, Role.PROVIDER)):
        with pytest.raises(NotFound):
            get_entry(session, entry.id, stranger)


# --- Certificates -----------------------------------------------------------------------------

SPECIALIST = {
    "title": "Unidad de auditoría de producción más limpia",
    "description": "Auditorías en empresas pequeñas.",
    "certified_by": "gov-pa",
    "certificate": "PML-1",
    "organisation": "gov-pa",
    "country": "PA",
}


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"valid_until": None}, "valid_until"),
        ({"certified_by": ""}, "certified_by"),
        ({"certified_by": "nobody"}, "certified_by"),
        ({"valid_until": days(-1).isoformat()}, "valid_until"),
        ({"valid_until": "soon"}, "valid_until"),
        ({"sector": "99"}, "sector"),
        ({"source_address": "javascript:alert(1)"}, "source_address"),
        ({"source_line": 3}, "source_document"),
        ({"title": "x" * 201}, "title"),
        ({"description": "x" * 100_000}, "description"),
    ],
)
def test_a_specialist_needs_who_certified_until_when(session, facts, field):
    office = make_person(session, Role.SECRETARIAT)
    data = {**CURTAIN, **SPECIALIST, "valid_until": days(90).isoformat(), **facts}

    def hand_in():
        entry = save_entry(session, office, EntryKind.SPECIALIST, data, reference_of(session))
        submit_entry(session, office, entry, reference_of(session), today=TODAY)

    with pytest.raises(InvalidInput) as refused:
        hand_in()
    assert field in refused.value.fields


def test_an_expired_certificate_leaves_the_search_and_comes_back_when_renewed(exchange, session):
    entry = publish(
        session,
        EntryKind.SPECIALIST,
        on=days(-100),
        **{**SPECIALIST, "valid_until": days(-1).isoformat()},
    )
    session.flush()
    found = search_entries(exchange, session, DirectoryFilter(), on=TODAY)
    assert (found.ids, found.expired) == ([], 1)
    assert search_entries(exchange, session, DirectoryFilter(expired=True), on=TODAY).ids == [
        entry.id
    ]
    office = make_person(session, Role.SECRETARIAT)
    with pytest.raises(InvalidInput):
        renew_entry(session, office, entry, until=None, today=TODAY)
    renew_entry(session, office, entry, until=days(365), today=TODAY)
    session.flush()
    assert search_entries(exchange, session, DirectoryFilter(), on=TODAY).ids == [entry.id]


# --- Practices of agreements ------------------------------------------------------------------


def test_who_certified_and_whose_it_is_hear_once_before_a_certificate_ends(exchange):
    with exchange.writing() as session:
        unit = make_person(session, Role.PROVIDER)
        certifier = make_person(session, Role.FOCAL_POINT, "gov-pa")
        facts = {"certified_by": "gov-pa", "valid_until": days(10).isoformat()}
        home = unit.organisation.code
        entry = publish(session, EntryKind.SPECIALIST, home, title="Unidad auditora", **facts)
        publish(session, EntryKind.SPECIALIST, home, valid_until=days(100).isoformat())
    assert look_after_entries(exchange) == 1
    look_after_entries(exchange)
    with exchange.reading() as session:
        told = {
            notice.user_id: notice
            for notice in session.scalars(select(Notice).where(Notice.kind.endswith(".ending")))
        }
        assert {n.kind for n in told.values()} == {"entry.ending", "certificate.ending"}
        assert told[certifier.id].kind == "certificate.ending"
        sentence = sentence_of(told[certifier.id], exchange.reference, "en")
        assert "Unidad auditora" in sentence
        assert told[unit.id].path == f"/directory/entries/{entry.id}"


def completed(session):
    need, offer = post_need(session, "gov-co", themes=["water"]), post_offer(session)
    agreement = make_agreement(session, need, offer, status=AgreementStatus.COMPLETED)
    indicator = Indicator(name="Buyers trained", unit="people", baseline=0, target=40)
    indicator.reports.append(IndicatorReport(on=TODAY, value=38, by=people(session, agreement)[0]))
    agreement.indicators.append(indicator)
    session.flush()
    return agreement


def test_a_completed_agreement_becomes_a_practice_with_what_it_says_of_itself(session):
    agreement = completed(session)
    asking = people(session, agreement)[0]
    entry = tell_practice(session, asking, agreement, reference_of(session))
    said = content(entry)
    assert said["title"] == agreement.current_terms.title
    assert said["description"] == "Two workshops and a guide."
    assert said["results"] == "All was done."
    assert said["figures"] == [{"name": "Buyers trained", "value": 38.0, "unit": "people"}]
    assert said["themes"] == ["sustainable_public_procurement", "water"]
    assert said["country"] == "CO"
    assert said["year"] == agreement.ended_at.year
    assert tell_practice(session, asking, agreement, reference_of(session)) is entry


def test_a_practice_needs_every_partys_permission_now_and_later(exchange, session):
    agreement = completed(session)
    asking, giving = people(session, agreement)
    agreement.parties[1].shows_activities = False
    with pytest.raises(Conflict):
        tell_practice(session, asking, agreement, reference_of(session))
    agreement.parties[1].shows_activities = True
    entry = tell_practice(session, asking, agreement, reference_of(session))
    with pytest.raises(Conflict):
        tell_practice(session, giving, agreement, reference_of(session))
    submit_entry(session, asking, entry, reference_of(session), today=TODAY)
    publish_entry(session, make_person(session, Role.SECRETARIAT), entry, today=TODAY)
    session.flush()
    assert search_entries(exchange, session, DirectoryFilter(), on=TODAY).ids == [entry.id]
    agreement.parties[1].shows_activities = False
    session.flush()
    assert search_entries(exchange, session, DirectoryFilter(), on=TODAY).ids == []
    with pytest.raises(NotFound):
        get_entry(session, entry.id, None)


def test_only_a_completed_agreements_parties_tell_what_came_of_it(session):
    active = make_agreement(session, status=AgreementStatus.ACTIVE)
    with pytest.raises(Conflict):
        tell_practice(session, people(session, active)[0], active, reference_of(session))
    agreement = completed(session)
    with pytest.raises(NotAllowed):
        tell_practice(
            session, make_person(session, Role.PROVIDER, "caf"), agreement, reference_of(session)
        )


# --- Offers -----------------------------------------------------------------------------------


def test_an_entry_becomes_an_offer_that_cites_it(session):
    entry = publish(session, results="Treinta por ciento menos de agua.")
    author = make_person(session, Role.FOCAL_POINT, "gov-pe")
    offer = offer_from_entry(session, author, entry, reference_of(session))
    session.flush()
    assert (offer.title, offer.language) == (entry.title, "es")
    assert offer.codes("theme") == ["cleaner_production", "water"]
    assert offer.experience_countries == ["PE"]
    assert "Treinta por ciento" in offer.experience_projects
    assert cited_entries(session, offer, None) == [entry]
    # The offer is a draft: others do not see yet that it cites the entry.
    assert citing_offers(session, entry, None) == []
    assert citing_offers(session, entry, author) == [offer]
    with pytest.raises(NotAllowed):
        offer_from_entry(session, make_person(session, Role.PROVIDER), entry, reference_of(session))


def test_an_offer_cites_anothers_entry_once(session):
    entry = publish(session)
    provider = make_person(session, Role.PROVIDER, "caf")
    offer = post_offer(session, "caf")
    assert citable_offers(session, provider, entry) == [offer]
    cite_entry(session, provider, entry, offer.id)
    session.flush()
    assert citing_offers(session, entry, None) == [offer]
    assert citable_offers(session, provider, entry) == []
    with pytest.raises(Conflict):
        cite_entry(session, provider, entry, offer.id)
    with pytest.raises(NotAllowed):
        cite_entry(session, make_person(session, Role.PROVIDER, "eclac"), entry, offer.id)
    drop_citation(session, provider, entry, offer.id)
    session.flush()
    assert session.scalars(select(Citation)).all() == []
    with pytest.raises(NotFound):
        drop_citation(session, provider, entry, offer.id)


# --- Finding ----------------------------------------------------------------------------------


def found(exchange, session, **filters) -> list[str]:
    results = search_entries(exchange, session, DirectoryFilter(**filters), on=TODAY)
    return [entry.title for entry in load_entries(session, results.ids)]


def test_words_are_found_without_accents_and_with_typing_errors(exchange, session):
    publish(session)
    publish(
        session, title="Hornos eficientes", description="Ladrilleras.", themes=["energy_efficiency"]
    )
    for words in ("curtiembres", "curtienbres", "CURTIEMBRE", "reutilízan remojo"):
        assert found(exchange, session, text=words) == [CURTAIN["title"]], words
    assert found(exchange, session, text="xyzzyq") == []


def test_a_change_is_found_at_once_and_a_withdrawal_too(exchange, session):
    entry = publish(session)
    author = make_person(session, Role.FOCAL_POINT, "gov-pe")
    assert found(exchange, session, text="remojo")
    edit_entry(
        session, author, entry, {"description": "Otra cosa: compostaje."}, reference_of(session)
    )
    session.flush()
    assert not found(exchange, session, text="remojo")
    assert found(exchange, session, text="compostaje")


def test_facets_count_what_each_choice_would_give(exchange, session):
    publish(session)
    publish(
        session,
        EntryKind.TECHNOLOGY,
        "gov-mx",
        title="Digestor",
        themes=["waste_management"],
        sector=None,
        language="en",
    )
    publish(
        session,
        EntryKind.INSTITUTION,
        "ihobe",
        title="IHOBE",
        themes=["ecodesign_lca"],
        sector=None,
    )
    publish(
        session, EntryKind.INSTITUTION, "unep", title="PNUMA", country=None, themes=[], sector=None
    )
    results = search_entries(exchange, session, DirectoryFilter(kinds=("institution",)), on=TODAY)
    assert len(results.ids) == 2
    assert results.counts["kinds"] == {"practice": 1, "technology": 1, "institution": 2}
    assert results.counts["countries"] == {"ES": 1}
    everything = search_entries(exchange, session, DirectoryFilter(), on=TODAY).counts
    assert everything["subregions"] == {"andean": 1, "mesoamerica": 1, "regional": 1}
    assert everything["sectors"] == {"32110": 1}
    assert everything["languages"] == {"es": 3, "en": 1}
    assert everything["themes"]["water"] == 1
    assert found(exchange, session, subregions=("andean",)) == [CURTAIN["title"]]
    assert found(exchange, session, subregions=("regional",)) == ["PNUMA"]
    assert found(exchange, session, themes=("waste_management",)) == ["Digestor"]
    assert found(exchange, session, sectors=("32110",), countries=("PE",)) == [CURTAIN["title"]]
    assert found(exchange, session, organisation="ihobe") == ["IHOBE"]
    assert found(exchange, session, sort="title") == [
        "Digestor", "IHOBE", CURTAIN["title"], "PNUMA",
    ]  # fmt: skip


# --- What exists already ----------------------------------------------------------------------


def test_a_need_without_an_offer_is_shown_what_exists(exchange, session):
    near = publish(session, organisation="gov-ec")
    farther = publish(session, organisation="gov-mx", title=CURTAIN["title"] + " (México)")
    publish(
        session,
        organisation="gov-co",
        title="Turismo en la costa",
        description="Pasaporte.",
        themes=["sustainable_tourism"],
    )
    need = post_need(
        session,
        "gov-pe",
        language="es",
        title="Ahorrar agua en las curtiembres",
        description="Las curtiembres gastan agua en el remojo y la tiran.",
        themes=["cleaner_production", "water"],
    )
    shown = entries_for(exchange, session, need, on=TODAY)
    assert [row.entry for row in shown] == [near, farther]
    assert shown[0].points > shown[1].points
    assert {part["part"] for part in shown[0].reason["parts"]} >= {"themes", "place"}


def test_what_the_asking_side_published_itself_or_has_expired_is_not_shown(exchange, session):
    publish(session, organisation="gov-pe")
    publish(session, organisation="gov-ec", on=days(-9), valid_until=days(-1).isoformat())
    need = post_need(
        session,
        "gov-pe",
        language="es",
        title=CURTAIN["title"],
        description=CURTAIN["description"],
        themes=CURTAIN["themes"],
    )
    assert entries_for(exchange, session, need, on=TODAY) == []
