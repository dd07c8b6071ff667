"""Files attached to agreements: what they may be, who attaches, opens and takes them away."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import Session, undefer

from broker.audit import record
from broker.schemas import Text
from models import Agreement, Conflict, Document, InvalidInput, NotFound, User

LARGEST = 5 * 1024**2
"""Bytes of the largest file; the installation may take less (setting ``max_upload``)."""

LONGEST_NAME = 160

OFFICE = "application/vnd.openxmlformats-officedocument"
MEDIA_TYPES = {
    "pdf": "application/pdf",
    "docx": f"{OFFICE}.wordprocessingml.document",
    "xlsx": f"{OFFICE}.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
}
"""Ending of a file's name → what it then must be."""

BEGINNINGS = {
    "application/pdf": b"%PDF-",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
}
PARTS = {MEDIA_TYPES["docx"]: "word/", MEDIA_TYPES["xlsx"]: "xl/"}

NO_FILE = _l("Choose a file.")
UNKNOWN_KIND = _l("Attach a PDF, DOCX, XLSX, ODT, PNG or JPEG file.")
OTHER_CONTENT = _l(
    "The content of this file is not what its name says. Save it anew, then attach it."
)
TOO_LARGE = _l("This file is too large. Attach at most 5 MB.")


def recognise(name: str, content: bytes) -> str:
    """The media type that a file's name and its content agree on.

    Raises
    ------
    InvalidInput
        If the name has another ending than those in :data:`MEDIA_TYPES`, or the content is
        something else; office files with macros are refused too.
    """
    ending = PurePosixPath(name).suffix.removeprefix(".").lower()
    media_type = MEDIA_TYPES.get(ending)
    if media_type is None:
        raise InvalidInput({"file": [UNKNOWN_KIND]})
    begins = BEGINNINGS.get(media_type)
    fits = content.startswith(begins) if begins else _is_office_file(media_type, content)
    if not fits:
        raise InvalidInput({"file": [OTHER_CONTENT]})
    return media_type


def _is_office_file(media_type: str, content: bytes) -> bool:
    try:
        with ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
            if media_type == MEDIA_TYPES["odt"]:
                with archive.open("mimetype") as file:
                    return file.read(len(media_type) + 1) == media_type.encode()
    except (BadZipFile, KeyError, NotImplementedError, OSError, RuntimeError, ValueError):
        return False
    return (
        "[Content_Types].xml" in names
        and any(name.startswith(PARTS[media_type]) for name in names)
        and not any(name.endswith("vbaProject.bin") for name in names)
    )


def attach_document(
    session: Session, by: User, agreement: Agreement, *, name: str, content: bytes
) -> Document:
    """Attach a file for one's party; only parties and moderators read it at first.

    Raises
    ------
    InvalidInput
        If there is no file, or it is too large or not of a kind that is taken.
    Conflict
        If the agreement has ended, is full, or holds the same file already.
    """
    agreement.require_party(by)
    if not name or not content:
        raise InvalidInput({"file": [NO_FILE]})
    if len(content) > LARGEST:
        raise InvalidInput({"file": [TOO_LARGE]})
    document = Document(
        media_type=recognise(name, content),
        name=_clean(name),
        size=len(content),
        digest=hashlib.sha256(content).hexdigest(),
        content=content,
        public=False,
    )
    agreement.attach(by, document)
    record(session, by, "agreement.document_attached", agreement, after=_described(document))
    return document


def _clean(name: str) -> str:
    """The name without folders and control signs; a long one keeps its ending."""
    text: str = Text(10_000).deserialize(name.replace("\\", "/").rsplit("/", 1)[-1])
    path = PurePosixPath(text)
    return path.stem[: LONGEST_NAME - len(path.suffix)] + path.suffix


def find_document(
    session: Session, by: User | None, agreement: Agreement, document_id: int
) -> Document:
    """A document of this agreement with its content, if the reader may have it.

    Raises
    ------
    NotFound
        Also where it exists and is not for this reader.
    """
    document = session.get(Document, document_id, options=[undefer(Document.content)])
    if document is None or document.agreement_id != agreement.id or not document.can_be_read_by(by):
        raise NotFound("no_such_document", id=document_id)
    return document


def open_document(
    session: Session, by: User, agreement: Agreement, document_id: int, *, public: bool
) -> Document:
    """Let everybody read a document of one's party along with the agreement, or no longer."""
    document = find_document(session, by, agreement, document_id)
    document.require_owner(by)
    before = _described(document)
    document.public = public
    after = _described(document)
    record(session, by, "agreement.document_opened", agreement, before=before, after=after)
    return document


def remove_document(session: Session, by: User, agreement: Agreement, document_id: int) -> None:
    """Take away a document of one's party, before the agreement is signed."""
    document = find_document(session, by, agreement, document_id)
    document.require_owner(by)
    if not document.can_be_removed_by(by):
        raise Conflict("document_stays", name=document.name)
    before = _described(document)
    agreement.documents.remove(document)
    record(session, by, "agreement.document_removed", agreement, before=before)


def _described(document: Document) -> dict[str, Any]:
    names = ("name", "size", "digest", "public")
    return {name: getattr(document, name) for name in names}
