"""Use cases of the IATI import: a publisher's activities become drafts of offers.

The file is read as a stream, however large it is, and kept in batches: each is one transaction
with the note from where to go on, so that an interrupted import is taken up exactly where it was.
An activity is known again by its IATI identifier, in whatever file it stands.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.audit import record
from broker.exchange import Exchange
from broker.iati_activities import ActivityReader, Read, check_file, read_elements
from broker.imported_rows import (
    digest_of,
    edited_since,
    edits_since,
    keep_edited,
    known_rows,
    note_row,
    stamp_rows,
)
from broker.imports import kinds_for, path_of
from broker.jobs import JobStopped, Work, job, start_job
from broker.messages import field_problems, sentence
from broker.posts import edit_post, get_post, save_draft
from models import (
    AuditEvent,
    Conflict,
    DomainError,
    Import,
    ImportedRow,
    ImportStatus,
    InvalidInput,
    Job,
    NotAllowed,
    NotFound,
    Offer,
    PostStatus,
    User,
)

SCHEME, KIND = "iati", "offer"

BATCH = 100
"""Usable activities of a transaction."""
READ_AT_ONCE = 2_000
"""Activities after which a batch is kept, however few of them are usable."""

LISTED = {True: 1_500, False: 500}
"""Refusals, and notes, that the page can show; the report holds all."""

CHUNK = 1024 * 1024

Progress = Callable[[int, int], None]
Keep = Callable[[dict[str, Any], Session], None]

REPORT_COLUMNS = ("line", "iati-identifier", "element", "used", "what")
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Stored:
    """A file in the installation's folder."""

    name: str
    digest: str
    size: int


def store_file(exchange: Exchange, name: str, stream: BinaryIO) -> Stored:
    """Put a file of any size into the installation's folder, a piece in memory at a time.

    Raises
    ------
    InvalidInput
        There is nothing in it, it is too large, or its beginning is no file of IATI activities.
    """
    largest = exchange.settings.max_import
    folder = path_of(exchange, "coming").parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check = hashlib.sha256()
    size = 0
    with tempfile.NamedTemporaryFile(dir=folder, prefix="coming-", delete=False) as file:
        try:
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > largest:
                    facts = {"megabytes": largest // 1024**2}
                    raise InvalidInput({"file": [("file_too_large", facts)]})
                check.update(chunk)
                file.write(chunk)
            if not size:
                raise InvalidInput({"file": [("file_missing", {})]})
            file.seek(0)
            check_file(file)  # type: ignore[arg-type]
        except BaseException:
            Path(file.name).unlink()
            raise
    Path(file.name).replace(path_of(exchange, check.hexdigest()))
    return Stored(Path(name.replace("\\", "/")).name[:160] or "–", check.hexdigest(), size)


def bring_activities(session: Session, by: User, stored: Stored) -> Import:
    """Note that a file of activities was brought, ready to be loaded.

    Raises
    ------
    NotAllowed
        The person does not post offers.
    """
    require_import(by)
    brought = Import(
        scheme=SCHEME,
        kind=KIND,
        name=stored.name,
        digest=stored.digest,
        size=stored.size,
        organisation=by.organisation,
        by=by,
        status=ImportStatus.CHECKED,
    )
    brought.become(ImportStatus.LOADING)
    session.add(brought)
    record(session, by, "import.brought", brought, after={"name": brought.name, "kind": KIND})
    return brought


def require_import(by: User) -> None:
    """Raise :class:`models.errors.NotAllowed` unless the person may import offers."""
    if KIND not in kinds_for(by):
        raise NotAllowed("import_kind", kind=KIND)


def start_import(session: Session, by: User, stored: Stored) -> Job:
    """Bring a file and start the job that loads it."""
    brought = bring_activities(session, by, stored)
    return start_job(session, by, "import_iati", import_id=brought.id)


@job("import_iati", name=_l("Import of an IATI file"), page="imports.show")
def import_in_background(exchange: Exchange, work: Work, *, import_id: int) -> dict[str, Any]:
    """The loading as a job; it goes on from the last batch that was kept."""
    counts = load_activities(
        exchange, import_id, kept=work.kept, progress=work.progress, keep=work.keep
    )
    return {"page": {"import_id": import_id}, **counts}


def load_activities(
    exchange: Exchange,
    import_id: int,
    *,
    progress: Progress,
    keep: Keep = lambda _note, _session: None,
    kept: dict[str, Any] | None = None,
) -> dict[str, int]:
    """Make or change a draft for each activity of a brought file that can be used.

    Parameters
    ----------
    progress : callable
        ``progress(read, size)`` in bytes; may raise to stop.
    keep : callable
        ``keep(note, session)``, in the transaction of each batch.
    kept : dict, optional
        The last note of an attempt that was interrupted.

    Returns
    -------
    dict
        Counts: ``rows`` read, ``good``, ``loaded``, ``changed``, ``known``,
        ``kept``, and what was ``told``.
    """
    with exchange.reading() as session:
        brought = session.get_one(Import, import_id)
        path, size, language = path_of(exchange, brought.digest), brought.size, brought.by.language
        name = brought.name
    reader = ActivityReader(exchange.reference, language, exchange.today())
    with _Loading(exchange, import_id, keep, kept or {}) as loading:
        try:
            if not path.is_file():
                raise NotFound("import_file_gone", name=name)
            with path.open("rb") as file:
                check_file(file)
                for batch in _batches(file, reader, skip=loading.counts["rows"]):
                    loading.take(batch)
                    progress(min(file.tell(), size), size)
        except JobStopped:
            loading.end(DomainError("iati_stopped"))
            raise
        except (InvalidInput, DomainError) as error:
            loading.end(error)
        except Exception:
            loading.end(DomainError("iati_interrupted"))
            raise
        else:
            loading.end()
    return loading.counts


def _batches(file: BinaryIO, reader: ActivityReader, skip: int) -> Iterator[list[Read]]:
    """Activities as they are kept together; what stands before a break in the file comes too."""
    batch: list[Read] = []
    usable = 0
    elements = read_elements(file)
    broken: InvalidInput | None = None
    while True:
        try:
            element = next(elements, None)
        except InvalidInput as error:
            element, broken = None, error
        if element is None:
            break
        if skip:
            skip -= 1
            continue
        batch.append(reader.read(element))
        usable += batch[-1].usable
        if usable == BATCH or len(batch) == READ_AT_ONCE:
            yield batch
            batch, usable = [], 0
    if batch:
        yield batch
    if broken is not None:
        raise broken


class _Loading:
    """The loading of one file: counts, the report, and one transaction for each batch."""

    def __init__(
        self, exchange: Exchange, import_id: int, keep: Keep, kept: dict[str, Any]
    ) -> None:
        self.exchange, self.import_id, self.keep = exchange, import_id, keep
        names = ("rows", "good", "loaded", "changed", "known", "kept", "told")
        self.counts = {name: int(kept.get(name, 0)) for name in names}
        self.report = report_path(exchange, import_id)
        self.written = int(kept.get("report", 0))

    def __enter__(self) -> _Loading:
        # What a batch that was not kept has written is cut off again.
        self.file = self.report.open("r+b" if self.written and self.report.is_file() else "w+b")
        self.file.truncate(self.written)
        self.file.seek(self.written)
        if not self.written:
            self._write([REPORT_COLUMNS])
        return self

    def __exit__(self, *_error: object) -> None:
        self.file.close()

    def take(self, batch: list[Read]) -> None:
        """Load a batch and keep it with the note from where to go on."""
        counts = dict(self.counts)
        with self.exchange.writing() as session:
            brought = session.get_one(Import, self.import_id)
            told = list(_load_batch(self.exchange, session, brought, batch, counts))
            counts["rows"] += len(batch)
            self._tell(brought, told, counts)
            for name in ("rows", "good", "loaded", "changed", "known", "kept"):
                setattr(brought, name, counts[name])
            self.keep({**counts, "report": self.written}, session)
        self.counts = counts

    def end(self, problem: DomainError | None = None) -> None:
        """Close the import, and say why it went no further if it did not."""
        with self.exchange.writing() as session:
            brought = session.get_one(Import, self.import_id)
            if problem is not None:
                self._tell(brought, [_about_file(problem)], self.counts)
            left = self.counts["told"] - len(brought.problems)
            if left > 0:
                words = sentence(DomainError("iati_more_problems", count=left))
                brought.problems = [*brought.problems, _entry(0, "", "", words, refused=False)]
            brought.become(ImportStatus.LOADED)
            record(session, brought.by, "import.loaded", brought, after=dict(self.counts))

    def _tell(self, brought: Import, told: list[dict[str, Any]], counts: dict[str, int]) -> None:
        """Write everything into the report, and to the page as much as it can show."""
        counts["told"] += len(told)
        self._write(
            (
                one["row"],
                one["value"],
                one["column"],
                "no" if one["refused"] else "yes",
                one["problem"],
            )
            for one in told
        )
        listed = list(brought.problems)
        for refused, most in LISTED.items():
            room = most - sum(one.get("refused") == refused for one in listed)
            listed += [one for one in told if one["refused"] == refused][: max(room, 0)]
        if len(listed) > len(brought.problems):
            brought.problems = listed

    def _write(self, rows: Any) -> None:
        lines = _Lines()
        csv.writer(lines).writerows([[_harmless(cell) for cell in row] for row in rows])
        self.file.write("".join(lines).encode())
        self.file.flush()
        self.written = self.file.tell()


class _Lines(list[str]):
    """What a CSV writer writes to."""

    write = list.append


def _harmless(cell: Any) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def report_path(exchange: Exchange, import_id: int) -> Path:
    """Where the report of an import lies: a CSV of all that is told of its activities."""
    return path_of(exchange, f"report-{import_id}.csv")


def _entry(
    line: int, element: str, identifier: str, words: str, *, refused: bool
) -> dict[str, Any]:
    return {
        "row": line,
        "column": element,
        "value": identifier[:120],
        "problem": words,
        "refused": refused,
    }


def _about_file(error: DomainError) -> dict[str, Any]:
    words, line = sentence(error), 0
    if isinstance(error, InvalidInput):
        words = " ".join(found for list_ in field_problems(error).values() for found in list_)
        facts = [own for problems in error.fields.values() for _code, own in problems]
        line = int(facts[0].get("line", 0)) if facts else 0
    return _entry(line, "", "", words, refused=True)


def _load_batch(
    exchange: Exchange,
    session: Session,
    brought: Import,
    batch: list[Read],
    counts: dict[str, int],
) -> Iterator[dict[str, Any]]:
    """Load what is usable; gives what is to be told."""
    usable = [read for read in batch if read.usable]
    known = known_rows(session, brought, [read.identifier for read in usable])
    edits = edits_since(session, list(known.values()))
    loaded: list[ImportedRow] = []
    titles = _titles(session, brought, [read.data["title"] for read in usable])
    for read in batch:
        for told in read.told:
            yield _entry(
                told.line, told.element, read.identifier, told.sentence, refused=told.refused
            )
        if not read.usable:
            continue
        counts["good"] += 1
        try:
            with session.begin_nested():
                what, row = _load_activity(exchange, session, brought, read, known, edits)
            counts[what] += 1
        except DomainError as error:
            counts["good"] -= 1
            for element, words in _refusals(error):
                yield _entry(read.line, element, read.identifier, words, refused=True)
            continue
        known[read.identifier] = row
        if what in ("loaded", "changed"):
            loaded.append(row)
        if what == "kept":
            words = sentence(edited_since(edits[row.entity_id]))
            yield _entry(read.line, "iati-identifier", read.identifier, words, refused=True)
        double = titles.get(read.data["title"])
        if what == "loaded" and double is not None:
            words = sentence(DomainError("iati_same_title", reference=double))
            yield _entry(read.line, "title", read.identifier, words, refused=False)
        if what == "loaded":
            made = session.get_one(Offer, row.entity_id)
            titles.setdefault(read.data["title"], made.reference)
    stamp_rows(session, loaded)


def _titles(session: Session, brought: Import, titles: list[str]) -> dict[str, str]:
    """Titles among these that offers of the organisation have already → their reference."""
    found = session.execute(
        select(Offer.title, Offer.reference)
        .where(Offer.organisation_id == brought.organisation_id, Offer.title.in_(titles))
        .order_by(Offer.id.desc())
    )
    return {row.title: row.reference for row in found}


def _load_activity(
    exchange: Exchange,
    session: Session,
    brought: Import,
    read: Read,
    known: dict[str, ImportedRow],
    edits: Mapping[int, AuditEvent],
) -> tuple[str, ImportedRow]:
    """Make or change the draft of an activity: ``loaded``, ``changed``, ``known`` or ``kept``.

    Raises
    ------
    Conflict
        The identifier stood in this file before, or what was made is no longer a draft.
    """
    by, reference = brought.by, exchange.reference
    digest = digest_of(read.data)
    row = known.get(read.identifier)
    if row is None:
        draft = save_draft(session, by, KIND, read.data, reference)
        session.flush()
        return "loaded", note_row(session, brought, read.identifier, read.data, draft.id)
    if row.import_id == brought.id:
        raise Conflict("iati_twice")
    what = "known"
    if row.digest != digest:
        post = get_post(session, KIND, row.entity_id, by)
        if post.status != PostStatus.DRAFT:
            raise Conflict("iati_no_draft", reference=post.reference)
        if row.entity_id in edits:
            keep_edited(row, brought, read.data)
            return "kept", row
        edit_post(session, by, post, read.data, reference)
        what = "changed"
    row.digest, row.import_id, row.waiting = digest, brought.id, None
    return what, row


def _refusals(error: DomainError) -> Iterator[tuple[str, str]]:
    """Element, and what is wrong: the input's own checks name fields of the offer."""
    if not isinstance(error, InvalidInput):
        yield "iati-identifier", sentence(error)
        return
    for name, problems in field_problems(error).items():
        yield name, " ".join(str(problem) for problem in _flat(problems))


def _flat(problems: Any) -> Iterator[Any]:
    if isinstance(problems, dict):
        problems = list(problems.values())
    if isinstance(problems, list):
        for problem in problems:
            yield from _flat(problem)
    else:
        yield problems


__all__ = [
    "Stored",
    "bring_activities",
    "load_activities",
    "report_path",
    "require_import",
    "start_import",
    "store_file",
]
