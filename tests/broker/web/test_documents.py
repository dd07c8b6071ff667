"""Files attached to agreements: what is taken, who reads it, how it is sent."""

from __future__ import annotations

from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from broker.documents import LARGEST, recognise
from models import AgreementStatus, Document, InvalidInput, Role
from tests.broker.web.sides import Sides

PDF = b"%PDF-1.7\n1 0 obj"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def archive(**parts: bytes) -> bytes:
    """A ZIP file with these parts; two underscores stand for a slash."""
    file = BytesIO()
    with ZipFile(file, "w") as made:
        for name, content in parts.items():
            made.writestr(name.replace("__", "/"), content)
    return file.getvalue()


def office(folder: str, **more: bytes) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as made:
        made.writestr("[Content_Types].xml", b"<Types/>")
        made.writestr(f"{folder}/main.xml", b"<x/>")
        for name, content in more.items():
            made.writestr(f"{folder}/{name}.bin", content)
    return file.getvalue()


ODT = archive(mimetype=b"application/vnd.oasis.opendocument.text", content=b"")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.pdf", PDF),
        ("PLAN.PDF", PDF),
        ("chart.png", PNG),
        ("photo.jpeg", b"\xff\xd8\xff\xe0rest"),
        ("terms.docx", office("word")),
        ("sums.xlsx", office("xl")),
        ("letter.odt", ODT),
    ],
)
def test_files_that_are_what_their_names_say_are_taken(name: str, content: bytes) -> None:
    assert recognise(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plan.pdf", b"<html><script>alert(1)</script>"),
        ("plan.pdf", PNG),
        ("plan.html", PDF),
        ("plan", PDF),
        ("terms.docx", office("xl")),
        ("terms.docx", office("word", vbaProject=b"macro")),
        ("terms.docx", b"PK\x03\x04 broken"),
        ("letter.odt", office("word")),
        ("letter.odt", archive(mimetype=b"application/vnd.oasis.opendocument.text-x")),
        ("photo.svg", b"<svg/>"),
    ],
)
def test_files_that_are_something_else_are_refused(name: str, content: bytes) -> None:
    with pytest.raises(InvalidInput):
        recognise(name, content)


def attach(client: FlaskClient, number: int, name: str = "plan.pdf", content: bytes = PDF) -> Any:
    return client.post(f"/agreements/{number}/documents", data={"file": (BytesIO(content), name)})


def only_document(sides: Sides) -> int:
    with sides.exchange.reading() as session:
        return session.scalars(select(Document.id)).one()


def test_an_attached_file_comes_back_byte_for_byte_and_is_never_shown_in_the_site(
    sides: Sides,
) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    assert attach(sides.asking, number, "../Plan für \u202eLima.pdf").status_code == 302
    address = f"/agreements/{number}/documents/{only_document(sides)}"
    assert address in sides.giving.get(f"/agreements/{number}").text
    answer = sides.giving.get(address)
    assert answer.data == PDF
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "Plan%20f%C3%BCr%20Lima.pdf" in answer.headers["Content-Disposition"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer.headers["Cache-Control"]


def test_documents_are_for_parties_and_moderators_until_their_party_opens_them(
    sides: Sides, client, sign_in
) -> None:
    number = sides.agreement(AgreementStatus.SIGNED)
    attach(sides.asking, number)
    address = f"/agreements/{number}/documents/{only_document(sides)}"
    assert client.get(address).status_code == 404
    assert sign_in(Role.PROVIDER).get(address).status_code == 404
    assert "plan.pdf" not in client.get(f"/agreements/{number}").text
    assert sign_in(Role.SECRETARIAT).get(address).status_code == 200
    # The other party reads it; only the one that attached it opens it.
    assert sides.giving.post(f"{address}/public", data={"public": "true"}).status_code == 403
    assert sides.asking.post(f"{address}/public", data={"public": "true"}).status_code == 302
    assert client.get(address).data == PDF
    assert "plan.pdf" in client.get(f"/agreements/{number}").text
    sides.asking.post(f"{address}/public", data={"public": "false"})
    assert client.get(address).status_code == 404


def test_a_public_document_of_a_negotiation_stays_with_the_parties(sides: Sides, client) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    attach(sides.asking, number)
    address = f"/agreements/{number}/documents/{only_document(sides)}"
    sides.asking.post(f"{address}/public", data={"public": "true"})
    assert client.get(address).status_code == 404


def test_a_document_can_be_taken_away_before_signing_alone(sides: Sides) -> None:
    number = sides.agreement(AgreementStatus.PROPOSED)
    attach(sides.asking, number)
    address = f"/agreements/{number}/documents/{only_document(sides)}/remove"
    assert sides.giving.post(address).status_code == 403
    assert sides.asking.post(address).status_code == 302
    signed = sides.now(number)
    assert signed.documents == []
    attach(sides.asking, number)
    for side, step in ((sides.giving, "accept"), (sides.asking, "sign"), (sides.giving, "sign")):
        side.post(f"/agreements/{number}/{step}", data={"number": 1})
    address = f"/agreements/{number}/documents/{only_document(sides)}/remove"
    assert sides.asking.post(address).status_code == 409


def test_what_cannot_be_attached_is_refused_with_a_sentence(sides: Sides, client, sign_in) -> None:
    number = sides.agreement(AgreementStatus.ACTIVE)
    for name, content, words in (
        ("plan.exe", b"MZ", "Attach a PDF"),
        ("plan.pdf", b"MZ", "not what its name says"),
        ("plan.pdf", b"", "Choose a file"),
        ("", b"", "Choose a file"),
    ):
        answer = attach(sides.asking, number, name, content)
        assert (answer.status_code, words in answer.text) == (422, True), name
    assert attach(sides.asking, number).status_code == 302
    assert attach(sides.giving, number, "again.pdf").status_code == 409
    assert attach(sign_in(Role.PROVIDER), number).status_code == 403
    assert attach(client, number).status_code in (302, 401)
    with sides.exchange.reading() as session:
        assert session.scalar(select(func.count(Document.id))) == 1


def test_a_file_beyond_the_limit_of_the_installation_is_refused(sides: Sides) -> None:
    number = sides.agreement(AgreementStatus.ACTIVE)
    most = sides.exchange.settings.max_upload
    assert most < LARGEST
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="plan.pdf"\r\n\r\n'
    answer = sides.asking.post(
        f"/agreements/{number}/documents",
        data=head + PDF + bytes(most) + b"\r\n--x--\r\n",
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 413
    assert "2 MB" in answer.text
    assert "at most 2 MB" in sides.asking.get(f"/agreements/{number}/documents").text


def test_an_ended_agreement_takes_no_more_documents(sides: Sides) -> None:
    number = sides.agreement(AgreementStatus.ACTIVE)
    sides.asking.post(f"/agreements/{number}/complete", data={"report": "All were trained."})
    assert attach(sides.asking, number).status_code == 409


def test_the_list_does_not_load_the_files_themselves(sides: Sides, count_queries) -> None:
    number = sides.agreement(AgreementStatus.ACTIVE)
    attach(sides.asking, number)
    with count_queries() as statements:
        sides.asking.get(f"/agreements/{number}")
    assert not any("document.content" in statement for statement in statements)
