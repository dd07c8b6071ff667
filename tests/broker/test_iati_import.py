"""The IATI import: real publishers' files become drafts, and whatever was not used is told."""

from __future__ import annotations

import csv
import io
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import select

from broker import iati_import
from broker.iati_activities import read_elements, shorten
from broker.iati_export import write_activities
from broker.iati_import import report_path, start_import, store_file
from broker.imported_rows import decide_rows
from broker.jobs import do_job, do_waiting_jobs
from broker.posts import WHOLE, content, edit_post
from models import (
    Import,
    InvalidInput,
    Job,
    JobStatus,
    NotAllowed,
    Offer,
    PostStatus,
    Role,
    User,
)
from tests.broker.factories import days, make_person, post_offer

TITLE = '<title><narrative xml:lang="es">Compras verdes</narrative></title>'
TEXT = '<description><narrative xml:lang="es">Formación de compradores.</narrative></description>'
PLACE = '<recipient-country code="PE" percentage="100"/>'
SECTOR = '<sector vocabulary="1" code="15125" percentage="100"/>'
AID = '<default-aid-type code="D02"/>'


def activity(
    inner="",
    *,
    key="XM-1",
    title=TITLE,
    text=TEXT,
    place=PLACE,
    sector=SECTOR,
    aid=AID,
    attributes="",
):
    """An activity in the shape of the standard; what is not said is as in most files."""
    name = f"<iati-identifier>{key}</iati-identifier>" if key else ""
    return (
        f"<iati-activity {attributes}>\n{name}\n{title}\n{text}\n{place}\n{sector}\n{aid}\n{inner}\n"
        "</iati-activity>\n"
    )


def file_of(*activities, version='version="2.03"', head='<?xml version="1.0" encoding="UTF-8"?>'):
    return (
        f"{head}\n<iati-activities {version}>\n{''.join(activities)}</iati-activities>\n".encode()
    )


def packaged(version):
    """The standard's own sample files of a version, of which some are broken on purpose."""
    spec = find_spec("iati")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "resources" / "test_data" / version
    return sorted(folder.rglob("*.xml"))


@pytest.fixture
def officer(exchange):
    with exchange.writing() as session:
        return make_person(session, Role.PROVIDER, "eclac")


def begin(exchange, by, content_, name="activities.xml"):
    """Bring a file; gives the numbers of import and job, the job still waiting."""
    stored = store_file(exchange, name, io.BytesIO(content_))
    with exchange.writing() as session:
        job = start_import(session, session.get_one(User, by.id), stored)
        return job.arguments["import_id"], job.id


def bring(exchange, by, content_):
    import_id, _job = begin(exchange, by, content_)
    do_waiting_jobs(exchange)
    with exchange.sessions() as session:
        return session.get_one(Import, import_id)


def offers(exchange):
    with exchange.sessions() as session:
        return list(session.scalars(select(Offer).order_by(Offer.id).options(*WHOLE)))


def only(exchange):
    (offer,) = offers(exchange)
    return offer


def told(brought):
    return " ".join(problem["problem"] for problem in brought.problems)


def refusal(exchange, content_):
    with pytest.raises(InvalidInput) as caught:
        store_file(exchange, "file.xml", io.BytesIO(content_))
    ((code, _facts),) = caught.value.fields["file"]
    return code


# --- What becomes of an activity --------------------------------------------------------------


def test_an_activity_in_several_languages_becomes_a_whole_draft(exchange, officer, backend):
    brought = bring(
        exchange,
        officer,
        file_of(
            activity(
                """
                <activity-status code="2"/>
                <activity-date iso-date="2025-01-01" type="1"/>
                <activity-date iso-date="2025-03-01Z" type="2"/>
                <activity-date iso-date="2099-06-30" type="3"/>
                <contact-info><email>somebody@publisher.example</email></contact-info>
                <recipient-country code="BO" percentage="40"/>
                <recipient-country code="KE" percentage="20"/>
                <recipient-region vocabulary="1" code="380" percentage="10"/>
                <default-finance-type code="110"/>
                <budget type="1"><period-start iso-date="2025-01-01"/><value currency="EUR">100,000</value></budget>
                <budget type="1"><period-start iso-date="2026-01-01"/><value>50000.50</value></budget>
                <budget type="2"><period-start iso-date="2026-01-01"/><value>60000.50</value></budget>
                <x:extra xmlns:x="https://publisher.example/ns"><x:title>No</x:title></x:extra>
                """,
                title='<title><narrative>Compras  verdes</narrative><narrative xml:lang="EN-gb">Green buying</narrative></title>',
                text='<description type="2"><narrative>Meta.</narrative></description>'
                '<description type="1"><narrative>&lt;p&gt;Uno.&lt;/p&gt;&lt;p&gt;Dos &amp;amp; tres.&lt;/p&gt;</narrative>'
                '<narrative xml:lang="en">Summary.</narrative></description>',
                attributes='xml:lang="es" default-currency="EUR"',
                place='<recipient-country code="pe" percentage="30"/>',
            )
        ),
    )
    assert (brought.rows, brought.good, brought.loaded, brought.problems) == (1, 1, 1, [])
    offer = only(exchange)
    said = content(offer)
    assert offer.status == PostStatus.DRAFT
    assert (said["language"], said["title"]) == ("es", "Compras verdes")
    assert said["description"] == "Uno.\n\nDos & tres.\n\nMeta."
    assert said["translations"] == {"en": {"title": "Green buying", "summary": "Summary."}}
    assert sorted(said["serves_countries"]) == ["BO", "PE"]
    assert said["serves_subregions"] == ["caribbean"]
    assert said["themes"] == ["sustainable_public_procurement"]
    assert said["support"] == [{"kind": "technical_support", "modality": None, "detail": ""}]
    assert (said["starts"], said["ends"]) == ("2025-03-01", "2099-06-30")
    assert (said["money"], said["currency"]) == ("160000.50", "EUR")
    assert said["contact_email"] == officer.email


@pytest.mark.parametrize(
    ("region", "subregions"),
    [
        ('code="380"', ["caribbean"]),
        ('code="389" vocabulary="1"', ["mesoamerica"]),
        ('code="489"', ["andean", "southern_cone"]),
        ('code="498"', ["regional"]),
        ('code="1031"', ["caribbean"]),
        ('code="419" vocabulary="2"', ["regional"]),
        ('code="029" vocabulary="2"', ["caribbean"]),
    ],
)
def test_a_region_of_the_standard_is_a_subregion_here(exchange, officer, region, subregions):
    bring(exchange, officer, file_of(activity(place=f"<recipient-region {region}/>")))
    assert sorted(content(only(exchange))["serves_subregions"]) == subregions


@pytest.mark.parametrize(
    ("types", "support"),
    [
        ('<default-aid-type code="D01"/>', [("technical_support", "expert_mission")]),
        ('<default-aid-type code="E01"/>', [("capacity_building", None)]),
        ('<default-aid-type vocabulary="1" code="B03"/>', [("finance", None)]),
        (
            '<default-aid-type code="C01"/><default-finance-type code="110"/>',
            [("finance", "grant")],
        ),
        ('<default-finance-type code="421"/>', [("finance", "loan")]),
        ('<default-finance-type code="1100"/>', [("finance", "guarantee")]),
        ('<default-flow-type code="30"/>', [("finance", "grant")]),
        (
            "<transaction><transaction-type code='3'/><aid-type code='D02'/></transaction>",
            [("technical_support", None)],
        ),
    ],
)
def test_aid_finance_and_flow_types_say_what_is_given(exchange, officer, types, support):
    brought = bring(exchange, officer, file_of(activity(aid=types)))
    found = content(only(exchange))["support"]
    assert [(one["kind"], one["modality"]) for one in found] == support
    assert brought.problems == []


def test_without_types_the_kind_is_guessed_and_told(exchange, officer):
    brought = bring(exchange, officer, file_of(activity(aid="")))
    assert content(only(exchange))["support"][0]["kind"] == "technical_support"
    assert "Neither aid type nor finance type" in told(brought)
    assert brought.problems[0]["refused"] is False


def test_the_heaviest_eight_themes_are_taken_and_places_of_transactions_count(exchange, officer):
    codes = [
        "15125",
        "32120",
        "15144",
        "32182",
        "33210",
        "32310",
        "14050",
        "23183",
        "31120",
        "11110",
    ]
    sectors = "".join(
        f'<sector code="{code}" percentage="{share}"/>' for share, code in enumerate(codes, start=1)
    )
    brought = bring(
        exchange,
        officer,
        file_of(
            activity(
                '<transaction><recipient-country code="CL"/></transaction>',
                place="",
                sector=sectors,
            )
        ),
    )
    said = content(only(exchange))
    assert len(said["themes"]) == 8
    assert "sustainable_public_procurement" not in said["themes"]
    assert said["serves_countries"] == ["CL"]
    assert "eight" in told(brought)


def test_categories_of_three_digits_lead_to_themes_and_unknown_sectors_are_told(exchange, officer):
    brought = bring(
        exchange,
        officer,
        file_of(
            activity(sector='<sector vocabulary="2" code="332"/>'),
            activity(sector='<sector vocabulary="99" code="A"/>', key="XM-2"),
        ),
    )
    first, second = offers(exchange)
    assert content(first)["themes"] == ["sustainable_tourism"]
    assert content(second)["themes"] == []
    assert "No sector leads to a theme" in told(brought)


def test_currencies_are_never_mixed(exchange, officer):
    inner = "".join(
        f"<budget><value currency='{currency}'>{amount}</value></budget>"
        for currency, amount in [
            ("USD", 10),
            ("COP", 20000),
            ("EUR", 700),
            ("XXY", 5),
            ("USD", "ten"),
        ]
    )
    brought = bring(
        exchange, officer, file_of(activity(inner + "<budget><value>3</value></budget>"))
    )
    said = content(only(exchange))
    assert (said["money"], said["currency"]) == ("700", "EUR")
    words = told(brought)
    assert "COP, EUR, USD" in words
    assert "“XXY” is not known" in words
    assert "“ten” is not an amount" in words
    assert "has no currency" in words


def test_budgets_of_nothing_leave_the_word_to_commitments_and_negative_ones_are_told(
    exchange, officer
):
    commitment = (
        "<transaction><transaction-type code='2'/><value currency='EUR'>900</value></transaction>"
    )
    brought = bring(
        exchange,
        officer,
        file_of(
            activity("<budget><value currency='EUR'>0</value></budget>" + commitment),
            activity("<budget><value currency='EUR'>-50.5</value></budget>", key="XM-2"),
        ),
    )
    first, second = (content(offer) for offer in offers(exchange))
    assert (first["money"], second["money"]) == ("900", None)
    assert "add up to -50.50 EUR" in told(brought)


def test_without_budgets_the_commitments_count(exchange, officer):
    inner = "".join(
        f"<transaction><transaction-type code='{kind}'/><value currency='USD'>{amount}</value></transaction>"
        for kind, amount in [("2", 1000), ("2", 500), ("3", 900), ("1", 80)]
    )
    bring(exchange, officer, file_of(activity(inner)))
    assert content(only(exchange))["money"] == "1500"


@pytest.mark.parametrize(
    ("given", "element", "words"),
    [
        ({"key": ""}, "iati-identifier", "has no identifier"),
        ({"title": ""}, "title/narrative", "no title"),
        (
            {"title": "<title><narrative xml:lang='de'>Kauf</narrative></title>"},
            "title/narrative",
            "no title",
        ),
        ({"place": '<recipient-country code="KE"/>'}, "recipient-country", "nobody of the region"),
        ({"place": '<recipient-region code="998"/>'}, "recipient-country", "nobody of the region"),
        ({"place": '<recipient-country code="PE" percentage="0"/>'}, "recipient-country", "nobody"),
        ({"inner": '<activity-status code="4"/>'}, "activity-status", "closed"),
        ({"inner": '<activity-status code="6"/>'}, "activity-status", "suspended"),
        ({"key": "X" * 300}, "iati-identifier", "longer than 255"),
    ],
)
def test_what_cannot_be_used_is_told_with_line_and_element(
    exchange, officer, given, element, words
):
    brought = bring(exchange, officer, file_of(activity(**given), activity(key="XM-2")))
    assert (brought.rows, brought.good, brought.loaded) == (2, 1, 1)
    (problem,) = brought.problems
    assert (problem["column"], problem["refused"]) == (element, True)
    assert 3 <= problem["row"] <= 11
    assert words in problem["problem"]
    assert problem["value"] == given.get("key", "XM-1")[:120]


def test_long_texts_odd_dates_and_missing_languages_are_mended_and_told(exchange, officer):
    brought = bring(
        exchange,
        officer,
        file_of(
            activity(
                '<activity-date type="1" iso-date="soon"/><activity-date type="2" iso-date="2026-05-01"/>'
                '<activity-date type="3" iso-date="2026-01-01"/>',
                title=f"<title><narrative>{'green ' * 60}</narrative></title>",
                text="",
            ),
            activity('<activity-date type="3" iso-date="2020-01-01"/>', key="XM-2"),
        ),
    )
    first, second = (content(offer) for offer in offers(exchange))
    assert len(first["title"]) <= 200
    assert first["title"].endswith("green…")
    assert (first["language"], first["starts"], first["ends"]) == ("en", "2026-05-01", None)
    assert second["ends"] == "2020-01-01"
    words = told(brought)
    for part in ("shortened", "“soon” is not a date", "before the start", "taken for English",
                 "no description", "should have ended on 2020-01-01"):  # fmt: skip
        assert part in words


def test_what_publishers_do_with_days_parts_goals_and_marks_of_the_text(exchange, officer):
    brought = bring(
        exchange,
        officer,
        file_of(
            activity(
                # An end that is far ahead where nothing has ended; a parent in the same file.
                '<activity-date type="3" iso-date="2099-06-30"/><activity-date type="4" iso-date="2150-12-31"/>'
                '<activity-date type="4" iso-date="2098-12-31"/><related-activity type="1" ref="XM-0"/>'
                '<reporting-org ref="XM" type="N/A"><narrative/></reporting-org>'
                '<policy-marker vocabulary="DAC" code="02" significance="0"/>',
                title="<title><narrative/><narrative xml:lang='es'><![CDATA[Compras & <b>más</b>]]>"
                "</narrative></title>",
                text="<description><narrative xml:lang='es'>  </narrative></description>",
                place='<recipient-country code="PE" percentage="70"/>'
                '<recipient-country code="CO" percentage="70"/>'
                '<recipient-region vocabulary="99" code="A1" percentage="100"/>',
                sector='<sector vocabulary="99" code="X"/><sector vocabulary="8" code="12.7"/>',
                attributes='hierarchy="2" humanitarian="1"',
            ),
            activity(
                '<tag vocabulary="3" code="8.9"/><activity-date type="1" iso-date="31/12/2026"/>',
                key="YM-2",
                sector='<sector vocabulary="1" code="72010"/>',
            ),
        ),
    )
    first, second = (content(offer) for offer in offers(exchange))
    assert (first["title"], first["description"]) == ("Compras & más", "")
    assert first["ends"] == "2099-06-30"
    assert sorted(first["serves_countries"]) == ["CO", "PE"]
    assert first["themes"] == ["sustainable_public_procurement"]
    assert second["themes"] == ["sustainable_tourism"]
    words = told(brought)
    for part in ("2098-12-31 is given as an actual day", "a part of the activity XM-0",
                 "“31/12/2026” is not a date", "“2150-12-31” is not a date"):  # fmt: skip
        assert part in words


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<?xml version="1.0"?>', "utf-8-sig"),
        ('<?xml version="1.0" encoding="UTF-16"?>', "utf-16"),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>', "latin-1"),
        ("\n\n", "utf-8"),
    ],
    ids=["byte-order mark", "utf-16", "latin-1", "no declaration"],
)
def test_every_encoding_that_a_file_names_is_read(exchange, officer, head, encoding):
    written = file_of(activity(), head=head).decode().lstrip().encode(encoding)
    assert bring(exchange, officer, written).loaded == 1
    assert content(only(exchange))["description"] == "Formación de compradores."


def test_the_version_may_stand_on_each_activity(exchange, officer):
    spaces = 'xmlns:iati-extra="http://datastore.iatistandard.org/ns"'
    assert refusal(exchange, file_of(activity(attributes='version="1.05"'), version=spaces)) == (
        "iati_old_version"
    )
    written = file_of(activity(attributes='version="2.02"'), version=spaces)
    assert bring(exchange, officer, written).loaded == 1


def test_our_own_export_comes_back_with_the_same_themes(exchange, officer):
    themes = ["sustainable_tourism", "ecolabelling"]
    with exchange.writing() as session:
        post_offer(
            session,
            themes=themes,
            ilac_areas=["6"],
            serves_subregions=["caribbean"],
            starts=days(1),
            ends=days(100),
            money="5000",
            currency="USD",
        )
    file = io.BytesIO()
    with exchange.reading() as session:
        write_activities(exchange, session, file)
    brought = bring(exchange, officer, file.getvalue())
    assert (brought.rows, brought.loaded) == (1, 1), brought.problems
    first, back = (content(offer) for offer in offers(exchange))
    for name in ("themes", "ilac_areas"):
        assert sorted(back[name]) == sorted(first[name])
    for name in ("title", "language", "serves_subregions", "starts", "ends", "money", "currency"):
        assert back[name] == first[name], name


# --- Once more ---------------------------------------------------------------------------------


def test_the_same_file_again_makes_nothing_and_a_changed_activity_changes_its_draft(
    exchange, officer, backend
):
    bring(exchange, officer, file_of(activity()))
    assert bring(exchange, officer, file_of(activity())).known == 1
    other = activity(title=TITLE.replace("verdes", "nuevas"), text=TEXT)
    brought = bring(exchange, officer, file_of(other))
    assert (brought.loaded, brought.changed) == (0, 1)
    assert only(exchange).title == "Compras nuevas"


def test_a_changed_activity_never_goes_over_what_a_person_has_edited_since(exchange, officer):
    bring(exchange, officer, file_of(activity()))
    with exchange.writing() as session:
        offer = session.scalars(select(Offer)).one()
        said = {**content(offer), "title": "Mis palabras"}
        edit_post(session, session.get_one(User, officer.id), offer, said, exchange.reference)
    other = file_of(activity(title=TITLE.replace("verdes", "nuevas")))
    brought = bring(exchange, officer, other)
    assert (brought.changed, brought.kept, only(exchange).title) == (0, 1, "Mis palabras")
    assert f"edited since by {officer.name}" in told(brought)
    with exchange.writing() as session:
        person, own = session.get_one(User, officer.id), session.get_one(Import, brought.id)
        assert decide_rows(session, person, own, exchange.reference, take=True).rows == 1
    assert only(exchange).title == "Compras nuevas"
    assert bring(exchange, officer, other).known == 1


def test_what_is_no_longer_a_draft_is_left_and_told(exchange, officer):
    bring(exchange, officer, file_of(activity()))
    with exchange.writing() as session:
        session.scalars(select(Offer)).one().status = PostStatus.SUBMITTED
    brought = bring(exchange, officer, file_of(activity(place='<recipient-country code="CL"/>')))
    assert (brought.changed, brought.good) == (0, 0)
    assert "is no longer a draft" in told(brought)
    assert content(only(exchange))["serves_countries"] == ["PE"]


def test_an_activity_that_stands_twice_is_used_once(exchange, officer):
    brought = bring(
        exchange, officer, file_of(activity(), activity(place='<recipient-country code="CL"/>'))
    )
    assert len(offers(exchange)) == 1
    assert "on an earlier activity of this file" in told(brought)
    assert brought.problems[-1]["row"] == 12


def test_an_offer_of_the_same_title_is_named(exchange, officer):
    brought = bring(exchange, officer, file_of(activity(), activity(key="XM-2")))
    first, _second = offers(exchange)
    assert f"{first.reference} has the same title" in told(brought)


def test_an_interrupted_import_goes_on_where_it_was(exchange, officer, monkeypatch, backend):
    monkeypatch.setattr(iati_import, "BATCH", 2)
    parts = [
        activity(key=f"XM-{number}", title=TITLE.replace("verdes", str(number)))
        for number in range(7)
    ]
    parts.insert(3, activity(key="XM-KE", place='<recipient-country code="KE"/>'))
    import_id, job_id = begin(exchange, officer, file_of(*parts))
    take, taken = iati_import._Loading.take, []

    def dies(self, batch):
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(batch)
        take(self, batch)

    monkeypatch.setattr(iati_import._Loading, "take", dies)
    with pytest.raises(KeyboardInterrupt):
        do_job(exchange, job_id)
    assert len(offers(exchange)) == 4
    monkeypatch.setattr(iati_import._Loading, "take", take)
    with exchange.writing() as session:
        # What the clock does with a job whose worker has died.
        session.get_one(Job, job_id).status = JobStatus.QUEUED
    do_job(exchange, job_id)
    with exchange.sessions() as session:
        brought = session.get_one(Import, import_id)
        assert session.get_one(Job, job_id).result["loaded"] == 7
    assert (brought.rows, brought.good, brought.loaded, brought.known) == (8, 7, 7, 0)
    assert [offer.title[8:] for offer in offers(exchange)] == [str(number) for number in range(7)]
    lines = list(csv.reader(io.StringIO(report_path(exchange, import_id).read_text())))
    assert [(line[1], line[3]) for line in lines[1:]] == [("XM-KE", "no")]


def test_a_stopped_import_keeps_what_it_loaded_and_says_how_to_go_on(
    exchange, officer, monkeypatch
):
    monkeypatch.setattr(iati_import, "BATCH", 1)
    monkeypatch.setattr("broker.jobs.TELL_EVERY", 0.0)
    import_id, job_id = begin(exchange, officer, file_of(activity(), activity(key="XM-2")))
    with exchange.writing() as session:
        session.get_one(Job, job_id).stop_asked = True
    do_job(exchange, job_id)
    with exchange.sessions() as session:
        brought = session.get_one(Import, import_id)
        assert session.get_one(Job, job_id).status == JobStatus.STOPPED
    assert (brought.status, brought.loaded) == ("loaded", 1)
    assert "Bring the file again" in told(brought)


def test_the_page_has_a_bound_and_the_report_has_all(exchange, officer, monkeypatch):
    monkeypatch.setattr(iati_import, "LISTED", {True: 3, False: 1})
    parts = [activity(key=f"=K{number}", place="") for number in range(10)]
    brought = bring(exchange, officer, file_of(*parts))
    assert len(brought.problems) == 4
    assert brought.problems[-1]["problem"] == "7 more are in the report."
    lines = list(csv.reader(io.StringIO(report_path(exchange, brought.id).read_text())))
    assert len(lines) == 11
    assert lines[1][1] == "'=K0"


# --- Files that are not what they should be ----------------------------------------------------


@pytest.mark.parametrize(
    ("content_", "code"),
    [
        (b"", "file_missing"),
        (b'{"activities": []}', "iati_not_xml"),
        (b"PK\x03\x04rest of a workbook", "iati_not_xml"),
        (b"<html><body/></html>", "iati_other_root"),
        (b"<iati-activities xmlns='urn:x' version='2.03'/>", "iati_other_root"),
        (file_of(version='version="1.05"'), "iati_old_version"),
        (file_of(version='version="3.0"'), "iati_old_version"),
        (file_of(version=""), "iati_no_version"),
        (b"<iati-organisations version='2.03'/>", "iati_organisations"),
        (
            file_of(head="<!DOCTYPE iati-activities SYSTEM 'https://publisher.example/iati.dtd'>"),
            "iati_doctype",
        ),
        (
            file_of(
                activity(title="<title><narrative>&b;</narrative></title>"),
                head='<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
            ),
            "iati_doctype",
        ),
    ],
)
def test_files_that_are_something_else_are_refused_at_the_door(exchange, content_, code):
    assert refusal(exchange, content_) == code
    assert list((exchange.settings.home / "imports").iterdir()) == []


def test_a_truncated_file_is_read_up_to_its_break(exchange, officer):
    whole = file_of(activity(), activity(key="XM-2"))
    brought = bring(exchange, officer, whole[: whole.index(b"XM-2") + 20])
    assert (brought.rows, brought.loaded) == (1, 1)
    assert "The XML is broken in line 1" in told(brought)
    assert brought.problems[-1]["row"] >= 12


def test_a_wrong_encoding_is_told_with_its_line(exchange, officer):
    brought = bring(
        exchange,
        officer,
        file_of(activity(), activity(key="XM-2")).replace("ó".encode(), b"\xf3", 2)[0:],
    )
    assert brought.loaded == 0
    assert "broken in line" in told(brought)


def test_what_never_ends_as_an_activity_is_given_up(exchange, officer, monkeypatch):
    monkeypatch.setattr("broker.iati_activities.LARGEST_ACTIVITY", 200_000)
    content_ = file_of(activity(), "<x>word</x>" * 40_000, activity(key="XM-2"))
    brought = bring(exchange, officer, content_)
    assert brought.loaded == 1
    assert "Nothing that ends as an activity" in told(brought)


def test_a_file_that_is_too_large_is_refused_while_it_comes(exchange):
    object.__setattr__(exchange.settings, "max_import", 1000)
    assert refusal(exchange, file_of(activity() * 10)) == "file_too_large"


def test_who_posts_no_offers_imports_none(exchange):
    with exchange.writing() as session:
        coordinator = make_person(session, Role.SECRETARIAT)
    with pytest.raises(NotAllowed):
        begin(exchange, coordinator, file_of(activity()))


def test_elements_are_forgotten_once_they_are_read():
    content_ = file_of(*(activity(key=f"X{number}") for number in range(2000)))
    left = [len(element.getparent()) for element in read_elements(io.BytesIO(content_))]
    assert len(left) == 2000
    assert max(left) < 300


@pytest.mark.parametrize("version", ["1-01", "1-03", "1-05"])
def test_sample_files_of_version_1_are_refused(exchange, version):
    for path in packaged(version)[:12]:
        assert refusal(exchange, path.read_bytes()).startswith("iati_"), path.name


@pytest.mark.parametrize("version", ["2-02", "2-03"])
def test_sample_files_of_version_2_never_break_the_import(exchange, officer, version):
    read = refused = 0
    samples = [path for path in packaged(version) if "org-xml" not in str(path)]
    for path in samples[:40]:
        # The samples of 2.03 hold "xx" wherever a code would stand.
        content_ = path.read_bytes().replace(b'version="xx"', b'version="2.03"')
        try:
            brought = bring(exchange, officer, content_)
        except InvalidInput:
            refused += 1
            continue
        read += brought.rows
        unused = [problem for problem in brought.problems if problem["refused"]]
        assert brought.good == brought.rows or unused, path.name
        assert all(problem["problem"] for problem in brought.problems)
    assert read > 10
    assert refused < 30


def test_shortening_keeps_words():
    assert shorten("eco-labels for small hotels", 15) == "eco-labels for…"
    assert shorten("x" * 30, 10) == "x" * 9 + "…"
    assert shorten("short", 10) == "short"
