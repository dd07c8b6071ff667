"""Use cases of imports: bring a file, see what is wrong with it row by row, load it.

A file is checked first and loaded afterwards, by two acts of the person: nothing is stored before
she has seen what would be. Every row goes through the same use case as the form, one after the
other, in one transaction. A row is known again by its own number (column ``key``), or else by what
it says: loading a file twice makes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import Schema
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from broker.accounts import find_user
from broker.audit import record
from broker.exchange import Exchange
from broker.imported_rows import (
    digest_of,
    edited_since,
    edits_since,
    keep_edited,
    known_rows,
    note_row,
    stamp_rows,
)
from broker.invitations import invite
from broker.jobs import Work, job, start_job
from broker.messages import field_problems, sentence
from broker.organisations import OrganisationSchema, save_organisation
from broker.posts import SCHEMAS, check_post, edit_post, get_post, save_draft, submit_post
from broker.reference import Reference
from broker.schemas import load
from broker.secretariat import AccountSchema, change_role, open_account
from broker.sheets import (
    KEY,
    Column,
    Labels,
    Row,
    annotate,
    columns_of,
    input_of,
    make_template,
    problems_by_column,
    read_rows,
)
from broker.tables import encoding_of, is_workbook
from models import (
    Conflict,
    DomainError,
    Import,
    ImportedRow,
    ImportStatus,
    InvalidInput,
    Job,
    NotAllowed,
    NotFound,
    User,
)

LARGEST = 10 * 1024 * 1024
"""Bytes of a spreadsheet that is taken."""

CHECKED_AT_ONCE = 200_000
"""Bytes of a file up to which the reader waits for its check; larger ones are a job."""

LOADED_AT_ONCE = 40
"""Rows up to which the reader waits until they are loaded."""

MOST_PROBLEMS = 2_000
"""Problems of a file that are kept: whoever has more has one problem many times."""

Problem = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What the rows of a file are.

    Attributes
    ----------
    schema : type of Schema
        The input of a row; its fields are the columns.
    without : tuple of str
        Fields that no file fills in.
    check : callable
        ``check(session, by, data, reference)``: raises what is wrong with a row.
    """

    name: Any
    schema: type[Schema]
    check: Callable[[Session, User, Mapping[str, Any], Reference], Any]
    without: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a file of these."""
        return columns_of(self.schema, keyed=True, without=self.without)


def _check_as(schema: type[Schema]) -> Callable[[Session, User, Mapping[str, Any], Reference], Any]:
    def check(_session: Session, _by: User, data: Mapping[str, Any], reference: Reference) -> Any:
        return load(schema, data, reference)

    return check


KINDS = {
    "need": Kind(
        _l("Needs"),
        SCHEMAS["need"],
        lambda _session, by, data, reference: check_post(by, "need", data, reference),
    ),
    "offer": Kind(
        _l("Offers"),
        SCHEMAS["offer"],
        lambda _session, by, data, reference: check_post(by, "offer", data, reference),
    ),
    "organisation": Kind(_l("Organisations"), OrganisationSchema, _check_as(OrganisationSchema)),
    # A password in a file would be read by whoever finds the file.
    "user": Kind(_l("Accounts"), AccountSchema, _check_as(AccountSchema), without=("password",)),
}


def kinds_for(by: User) -> list[str]:
    """The kinds of rows that a person may bring."""
    posts = [kind for kind in ("need", "offer") if by.may_post(kind)]
    return posts + (["organisation", "user"] if by.is_secretariat else [])


def _require(by: User, kind: str) -> Kind:
    if kind not in KINDS:
        raise NotFound("no_such_import_kind", kind=kind)
    if kind not in kinds_for(by):
        raise NotAllowed("import_kind", kind=kind)
    return KINDS[kind]


def template(by: User, kind: str, reference: Reference, language: str) -> bytes:
    """An XLSX to fill in, with help at each column and lists to choose from."""
    return make_template(_require(by, kind).columns, reference, language)


# --- Bringing and checking ------------------------------------------------------------------


def bring_file(
    exchange: Exchange, session: Session, by: User, *, kind: str, name: str, content: bytes
) -> tuple[Import, Job | None]:
    """Take a file in and check it: at once, or in a job where it is large.

    Raises
    ------
    NotAllowed
        The person does not bring rows of this kind.
    InvalidInput
        There is no file, or it is too large.
    """
    _require(by, kind)
    if not content:
        raise InvalidInput({"file": [("file_missing", {})]})
    if len(content) > LARGEST:
        raise InvalidInput({"file": [("file_too_large", {"megabytes": LARGEST // 1024**2})]})
    brought = keep_file(
        exchange, session, by, scheme="sheet", kind=kind, name=name, content=content
    )
    if len(content) > CHECKED_AT_ONCE:
        return brought, start_job(session, by, "check_import", import_id=brought.id)
    check_import(exchange, session, brought)
    return brought, None


def keep_file(
    exchange: Exchange,
    session: Session,
    by: User,
    *,
    scheme: str,
    kind: str,
    name: str,
    content: bytes,
) -> Import:
    """Put a file into the installation's folder, and note that it was brought."""
    digest = hashlib.sha256(content).hexdigest()
    path = path_of(exchange, digest)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.write_bytes(content)
    brought = Import(
        scheme=scheme,
        kind=kind,
        name=Path(name.replace("\\", "/")).name[:160] or "–",
        digest=digest,
        size=len(content),
        organisation=by.organisation,
        by=by,
    )
    session.add(brought)
    record(session, by, "import.brought", brought, after={"name": brought.name, "kind": kind})
    return brought


def path_of(exchange: Exchange, digest: str) -> Path:
    """Where the file of an import lies."""
    return exchange.settings.home / "imports" / digest


def content_of(exchange: Exchange, brought: Import) -> bytes:
    """The file of an import; raises :class:`models.errors.NotFound` where it is gone."""
    path = path_of(exchange, brought.digest)
    if not path.is_file():
        raise NotFound("import_file_gone", name=brought.name)
    return path.read_bytes()


def is_guessed(exchange: Exchange, brought: Import) -> bool:
    """Whether nothing said in which character set a file is, and it is none of Unicode."""
    if brought.scheme != "sheet":
        return False
    content = content_of(exchange, brought)
    return not is_workbook(content) and encoding_of(content) == "cp1252"


def get_import(session: Session, by: User, import_id: int) -> Import:
    """An import by its number; raises :class:`models.errors.NotFound`, also for others'."""
    found = session.get(Import, import_id)
    if found is None or not found.can_be_seen_by(by):
        raise NotFound("no_such_import", id=import_id)
    return found


def find_imports(by: User) -> Select[Import]:
    """A query for the imports that a person may see, the newest first."""
    query = select(Import).order_by(Import.id.desc())
    if by.is_secretariat:
        return query
    if by.is_delegate:
        return query.where(Import.by_id == by.id)
    return query.where(Import.organisation_id == by.organisation_id)


@dataclass(frozen=True)
class Checked:
    """A row that was looked at.

    Attributes
    ----------
    key : str
        By which it is known again.
    problems : list
        What is wrong with it; empty for a good row.
    """

    row: Row
    key: str
    digest: str
    data: dict[str, Any]
    problems: list[Problem]


def check_import(
    exchange: Exchange, session: Session, brought: Import, work: Work | None = None
) -> list[Checked]:
    """Look at every row of a brought file, and note what is wrong with which.

    Returns
    -------
    list of Checked
        All rows; none where the file as a whole cannot be read.
    """
    reference = exchange.reference
    try:
        rows = check_rows(
            session, brought.by, brought.kind, content_of(exchange, brought), reference, work
        )
    except InvalidInput as error:
        brought.problems = [
            {"row": 0, "column": "", "value": "", "problem": " ".join(words)}
            for words in field_problems(error).values()
        ]
        brought.become(ImportStatus.UNREADABLE)
        return []
    problems = [problem for checked in rows for problem in checked.problems]
    brought.rows = len(rows)
    brought.good = sum(not checked.problems for checked in rows)
    brought.problems = problems[:MOST_PROBLEMS]
    if brought.status == ImportStatus.CHECKING:
        brought.become(ImportStatus.CHECKED)
    return rows


def check_rows(
    session: Session,
    by: User,
    kind: str,
    content: bytes,
    reference: Reference,
    work: Work | None = None,
) -> list[Checked]:
    """Read a file and look at every row with the input's own schema; nothing is stored.

    Raises
    ------
    InvalidInput
        The file as a whole cannot be read.
    """
    own = _require(by, kind)
    columns, labels = own.columns, Labels(reference)
    rows = read_rows(content, columns)
    seen: Counter[str] = Counter()
    found = []
    for count, row in enumerate(rows, start=1):
        data = input_of(row, columns, labels)
        digest = digest_of(data)
        key = row.cells.get(KEY, "").strip()[:255] or _natural_key(kind, data, digest)
        problems = [_problem(row, name, words) for name, words in row.refused.items()]
        seen[key] += 1
        if seen[key] > 1:
            problems.append(_problem(row, KEY, sentence(DomainError("row_twice", key=key[:60]))))
        try:
            own.check(session, by, data, reference)
        except InvalidInput as error:
            # What the file itself says of a cell goes before what its absence leads to.
            problems += [
                _problem(row, name, words)
                for name, words in problems_by_column(field_problems(error), columns)
                if name not in row.refused
            ]
        except DomainError as error:
            problems.append(_problem(row, "", sentence(error)))
        found.append(Checked(row, key, digest, data, problems))
        if work is not None:
            work.progress(count, len(rows))
    return found


def _natural_key(kind: str, data: Mapping[str, Any], digest: str) -> str:
    """What names a row that has no number of its own."""
    named = {"organisation": "code", "user": "email"}
    return str(data.get(named[kind]) or digest) if kind in named else digest


def _problem(row: Row, column: str, words: str) -> Problem:
    return {
        "row": row.number,
        "column": column,
        "value": row.cells.get(column, "")[:120],
        "problem": words,
    }


@job("check_import", name=_l("Check of a file"), page="imports.show")
def check_in_background(exchange: Exchange, work: Work, *, import_id: int) -> dict[str, Any]:
    """The check of a large file as a job."""
    with exchange.writing() as session:
        check_import(exchange, session, session.get_one(Import, import_id), work)
    return {"page": {"import_id": import_id}}


# --- Loading --------------------------------------------------------------------------------


def load_import(
    exchange: Exchange,
    session: Session,
    by: User,
    brought: Import,
    *,
    only_good: bool,
    submit: bool,
) -> Job | None:
    """Load a checked file: at once, or in a job where it has many rows.

    Parameters
    ----------
    only_good : bool
        Whether rows without a problem are loaded though others have one.
    submit : bool
        Whether posts are handed in for publication; else they stay drafts.

    Raises
    ------
    Conflict
        The file has problems and ``only_good`` is not set.
    """
    _require(by, brought.kind)
    if brought.problems and not only_good:
        raise Conflict("import_has_problems", count=len(brought.problems))
    if not brought.good:
        raise Conflict("import_has_no_good_row")
    brought.become(ImportStatus.LOADING)
    if brought.rows > LOADED_AT_ONCE:
        return start_job(
            session,
            by,
            "load_import",
            import_id=brought.id,
            by_id=by.id,
            only_good=only_good,
            submit=submit,
        )
    load_rows(exchange, session, by, brought, only_good=only_good, submit=submit)
    return None


@job("load_import", name=_l("Import of a file"), page="imports.show")
def load_in_background(
    exchange: Exchange, work: Work, *, import_id: int, by_id: int, only_good: bool, submit: bool
) -> dict[str, Any]:
    """The loading of many rows as a job: all of it is kept, or nothing."""
    try:
        with exchange.writing() as session:
            by = session.get_one(User, by_id)
            brought = session.get_one(Import, import_id)
            load_rows(exchange, session, by, brought, only_good=only_good, submit=submit, work=work)
    except Exception:
        # Stopped or failed: nothing was loaded, and the file may be loaded once more.
        with exchange.writing() as session:
            session.get_one(Import, import_id).become(ImportStatus.CHECKED)
        raise
    return {"page": {"import_id": import_id}}


def load_rows(
    exchange: Exchange,
    session: Session,
    by: User,
    brought: Import,
    *,
    only_good: bool,
    submit: bool,
    work: Work | None = None,
) -> None:
    """Load the rows of a file in the running transaction.

    What rows say is checked once more: the exchange may have changed since the file was brought.
    """
    reference = exchange.reference
    content = content_of(exchange, brought)
    rows = check_rows(session, by, brought.kind, content, reference)
    if not only_good and any(checked.problems for checked in rows):
        raise Conflict("import_has_problems", count=sum(bool(c.problems) for c in rows))
    known = known_rows(session, brought)
    differing = [
        known[one.key] for one in rows if one.key in known and known[one.key].digest != one.digest
    ]
    edits = edits_since(session, differing)
    problems = [problem for checked in rows for problem in checked.problems]
    counts: Counter[str] = Counter()
    loaded: list[ImportedRow] = []
    for count, checked in enumerate(rows, start=1):
        before = known.get(checked.key)
        edit = edits.get(before.entity_id) if before is not None else None
        if checked.problems:
            pass
        elif before is not None and before.digest == checked.digest:
            before.waiting = None
            counts["known"] += 1
        elif before is not None and edit is not None:
            keep_edited(before, brought, checked.data)
            problems.append(_problem(checked.row, KEY, sentence(edited_since(edit))))
            counts["kept"] += 1
        else:
            try:
                with session.begin_nested():
                    loaded.append(
                        _load_row(exchange, session, by, brought, checked, before, submit=submit)
                    )
                counts["loaded" if before is None else "changed"] += 1
            except DomainError as error:
                if not only_good:
                    raise
                problems += _refusals(checked, error, brought)
        if work is not None:
            work.progress(count, len(rows))
    stamp_rows(session, loaded)
    brought.rows, brought.problems = len(rows), problems[:MOST_PROBLEMS]
    for name in ("loaded", "changed", "known", "kept"):
        setattr(brought, name, counts[name])
    brought.become(ImportStatus.LOADED)
    record(session, by, "import.loaded", brought, after=dict(counts))


def _load_row(
    exchange: Exchange,
    session: Session,
    by: User,
    brought: Import,
    checked: Checked,
    before: ImportedRow | None,
    *,
    submit: bool,
) -> ImportedRow:
    """Make or change what a row stands for."""
    save = _SAVERS[brought.kind]
    entity_id = save(exchange, session, by, checked.data, before and before.entity_id, submit)
    if before is None:
        return note_row(session, brought, checked.key, checked.data, entity_id)
    before.digest, before.import_id, before.waiting = checked.digest, brought.id, None
    return before


def _refusals(checked: Checked, error: DomainError, brought: Import) -> Iterable[Problem]:
    if isinstance(error, InvalidInput):
        columns = KINDS[brought.kind].columns
        return [
            _problem(checked.row, name, words)
            for name, words in problems_by_column(field_problems(error), columns)
        ]
    return [_problem(checked.row, "", sentence(error))]


def _save_post(kind: str) -> Callable[..., int]:
    def save(
        exchange: Exchange,
        session: Session,
        by: User,
        data: Mapping[str, Any],
        entity_id: int | None,
        submit: bool,
    ) -> int:
        reference = exchange.reference
        if entity_id is not None:
            post = get_post(session, kind, entity_id, by)
            edit_post(session, by, post, data, reference)
            return post.id
        post = save_draft(session, by, kind, data, reference)
        session.flush()
        if submit:
            submit_post(session, by, post, reference, today=exchange.today())
        return post.id

    return save


def _save_organisation(
    exchange: Exchange,
    session: Session,
    by: User,
    data: Mapping[str, Any],
    _entity_id: int | None,
    _submit: bool,
) -> int:
    return save_organisation(session, by, data, exchange.reference).id


def _save_user(
    exchange: Exchange,
    session: Session,
    by: User,
    data: Mapping[str, Any],
    entity_id: int | None,
    _submit: bool,
) -> int:
    if entity_id is None:
        try:
            known = find_user(session, str(data.get("email", "")))
        except NotFound:
            # Nobody reads the password that is made: each person chooses one by her invitation.
            user, _password = open_account(session, by, data, exchange.reference)
            invite(session, exchange.settings, by, user)
            return user.id
        entity_id = known.id
    user = session.get_one(User, entity_id)
    grant = {name: data[name] for name in ("role", "organisation", "subregion") if name in data}
    change_role(session, by, user, grant, exchange.reference)
    return user.id


_SAVERS: dict[str, Callable[..., int]] = {
    "need": _save_post("need"),
    "offer": _save_post("offer"),
    "organisation": _save_organisation,
    "user": _save_user,
}


def annotated(exchange: Exchange, brought: Import) -> bytes:
    """The file once more, as an XLSX in which every problem stands at its cell."""
    return annotate(content_of(exchange, brought), brought.problems, KINDS[brought.kind].columns)
