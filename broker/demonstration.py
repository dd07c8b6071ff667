"""Loading a folder of posts and accounts: the demonstration exchange, or any other in its form.

Dates in the files are relative to the day of loading (``"+240"``), so that a demonstration never
goes stale. Loading again changes nothing: posts are known by their reference, accounts by address.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.accounts import create_user
from broker.audit import record
from broker.clearing import clear_round, open_round
from broker.directory import write_entry
from broker.directory_schemas import ENTRY_SCHEMAS
from broker.exchange import Exchange
from broker.fixture_files import FixtureError, Problem, Record, check, note, read_records
from broker.posts import CLASSES, SCHEMAS, content, write
from broker.reference import Reference
from broker.reference_data import SourceSchema
from broker.schemas import load
from models import (
    LANGUAGES,
    RENEWAL,
    VALIDITY,
    ClearingRound,
    Entry,
    EntryKind,
    EntryStatus,
    InvalidInput,
    Need,
    Offer,
    Organisation,
    Post,
    PostStatus,
    PostVersion,
    Role,
    User,
)

DATES = ("starts", "ends", "closes", "opens", "valid_until")
NEVER_PUBLISHED = {PostStatus.DRAFT, PostStatus.SUBMITTED, PostStatus.RETURNED}


class _Contact(Schema):
    role = fields.String(load_default="")
    email = fields.String(load_default="")


class _Money(Schema):
    least = fields.String(allow_none=True)
    most = fields.String(allow_none=True)
    currency = fields.String(required=True)
    sealed = fields.Boolean(load_default=False)


class _Serves(Schema):
    countries = fields.List(fields.String(), load_default=list)
    subregions = fields.List(fields.String(), load_default=list)
    organisation_kinds = fields.List(fields.String(), load_default=list)
    outside_region = fields.List(fields.String(), load_default=list)
    conditions = fields.String(load_default="")
    own_country = fields.Boolean(load_default=False)


class _Capacity(Schema):
    places = fields.Integer(strict=True)
    per_beneficiary = fields.Integer(strict=True)
    money = fields.String()
    grant_least = fields.String()
    grant_most = fields.String()
    currency = fields.String()


class _Experience(Schema):
    countries = fields.List(fields.String(), load_default=list)
    projects = fields.String(load_default="")


class _Pilot(Schema):
    hosted = fields.Boolean(load_default=None, allow_none=True)
    partner_brings = fields.String(load_default="")


class PostRecordSchema(Schema):
    """What a record of a post holds beyond the fields of the post's own input schema.

    The nested groups make the files readable; :func:`_input_of` lays them out as input fields,
    which :mod:`broker.schemas` then checks like those of any other door.
    """

    class Meta:
        unknown = RAISE

    reference = fields.String(required=True, validate=validate.Regexp(r"^(need|offer)-[a-z0-9-]+$"))
    source = fields.Nested(SourceSchema, required=True)
    organisation = fields.String(required=True)
    status = fields.String(
        load_default="published", validate=validate.OneOf([str(s) for s in PostStatus])
    )
    illustrative = fields.List(fields.String(), load_default=list)
    contact = fields.Nested(_Contact)
    money = fields.Nested(_Money)
    serves = fields.Nested(_Serves)
    capacity = fields.Nested(_Capacity)
    experience = fields.Nested(_Experience)
    pilot = fields.Nested(_Pilot)
    places = fields.List(fields.String())
    endorsed = fields.Boolean(load_default=False)
    comment = fields.String(load_default="")
    plain = fields.Dict(load_default=dict)


class EntryRecordSchema(Schema):
    """What a record of an entry of the directories holds beyond the fields of its input schema."""

    class Meta:
        unknown = RAISE

    reference = fields.String(
        required=True,
        validate=validate.Regexp(r"^(institution|specialist|technology|practice)-[a-z0-9-]+$"),
    )
    kind = fields.String(required=True, validate=validate.OneOf([str(k) for k in EntryKind]))
    organisation = fields.String(required=True)
    source = fields.Nested(SourceSchema, required=True)
    status = fields.String(
        load_default="published", validate=validate.OneOf([str(s) for s in EntryStatus])
    )
    illustrative = fields.List(fields.String(), load_default=list)
    contact = fields.Nested(_Contact)


_GROUPS = frozenset(PostRecordSchema._declared_fields) - {"plain"}


class _Account(Schema):
    class Meta:
        unknown = RAISE

    email = fields.Email(required=True)
    name = fields.String(required=True)
    organisation = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf([str(r) for r in Role]))
    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    subregion = fields.String(allow_none=True)
    ministry = fields.String(load_default="")


class _Trust(Schema):
    class Meta:
        unknown = RAISE

    code = fields.String(required=True)
    trusted = fields.Boolean(required=True)


@dataclass
class Loaded:
    """What a folder brought in."""

    needs: int = 0
    offers: int = 0
    entries: int = 0
    accounts: list[User] = field(default_factory=list)
    known: int = 0


def load_exchange(
    session: Session, folder: Path, reference: Reference, *, today: date, password: str
) -> Loaded:
    """Load ``needs-*.yaml``, ``offers-*.yaml``, ``users.yaml``, ``organisations.yaml`` and
    ``directory.yaml``.

    Parameters
    ----------
    today : date
        The day to which relative dates refer.
    password : str
        Password of the accounts that are new.

    Raises
    ------
    FixtureError
        With every problem of every file; nothing is loaded then.
    """
    problems: list[Problem] = []
    organisations = {o.code: o for o in session.scalars(select(Organisation))}
    loaded = Loaded()
    accounts = list(_accounts(folder, organisations, problems))
    trust = list(_trust(folder, organisations, problems))
    posts = list(_posts(folder, organisations, reference, today, problems))
    entries = list(_entries(folder, organisations, reference, today, problems))
    if problems:
        raise FixtureError(folder, problems)
    for organisation, trusted in trust:
        organisation.trusted = trusted
    known_users = {u.email: u for u in session.scalars(select(User))}
    for data in accounts:
        user = known_users.get(data["email"].lower())
        loaded.accounts.append(
            user
            or create_user(
                session,
                None,
                email=data["email"],
                name=data["name"],
                role=Role(data["role"]),
                organisation=organisations[data["organisation"]],
                password=password,
                language=data["language"],
                subregion=data.get("subregion"),
                ministry=data["ministry"],
            )
        )
    authors: dict[int, User] = {}
    for user in loaded.accounts:
        authors.setdefault(user.organisation_id, user)
    known_posts = set(session.scalars(select(Post.reference)))
    for number, (kind, meta, values) in enumerate(posts):
        if meta["reference"] in known_posts:
            loaded.known += 1
            continue
        organisation = organisations[meta["organisation"]]
        post = _build(kind, meta, values, organisation, authors.get(organisation.id), today, number)
        session.add(post)
        record(session, None, "post.loaded", post, after={"status": str(post.status)})
        loaded.needs += kind == "need"
        loaded.offers += kind == "offer"
    _load_entries(session, entries, organisations, loaded, today)
    session.flush()
    return loaded


def _accounts(
    folder: Path, organisations: dict[str, Organisation], problems: list[Problem]
) -> Iterator[dict[str, Any]]:
    path = folder / "users.yaml"
    if not path.is_file():
        return
    for entry in read_records(path, problems):
        data = check(entry, _Account(), problems)
        if data is None:
            continue
        if data["organisation"] not in organisations:
            problems.append(entry.problem("organisation", f"“{data['organisation']}” is not known"))
            continue
        yield data


def _trust(
    folder: Path, organisations: dict[str, Organisation], problems: list[Problem]
) -> Iterator[tuple[Organisation, bool]]:
    path = folder / "organisations.yaml"
    if not path.is_file():
        return
    for entry in read_records(path, problems):
        data = check(entry, _Trust(), problems)
        if data is None:
            continue
        if data["code"] not in organisations:
            problems.append(entry.problem("code", f"“{data['code']}” is not known"))
            continue
        yield organisations[data["code"]], data["trusted"]


def _posts(
    folder: Path,
    organisations: dict[str, Organisation],
    reference: Reference,
    today: date,
    problems: list[Problem],
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    seen: set[str] = set()
    for kind in ("need", "offer"):
        for path in sorted(folder.glob(f"{kind}s-*.yaml")):
            for entry in read_records(path, problems):
                checked = _check_post(entry, kind, organisations, reference, today, problems)
                if checked is None:
                    continue
                meta, values = checked
                if meta["reference"] in seen:
                    problems.append(entry.problem("reference", "stands in these files twice"))
                seen.add(meta["reference"])
                yield kind, meta, values


def _entries(
    folder: Path,
    organisations: dict[str, Organisation],
    reference: Reference,
    today: date,
    problems: list[Problem],
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Records of ``directory.yaml``: what stands beside the input, and the input as checked."""
    path = folder / "directory.yaml"
    if not path.is_file():
        return
    seen: set[str] = set()
    for entry in read_records(path, problems):
        own = EntryRecordSchema._declared_fields
        groups = {name: value for name, value in entry.data.items() if name in own}
        plain = {name: value for name, value in entry.data.items() if name not in own}
        try:
            meta = dict(EntryRecordSchema().load(groups))
            source, contact = meta["source"], meta.get("contact") or {}
            values = load(
                ENTRY_SCHEMAS[EntryKind(meta["kind"])],
                {
                    **_with_dates(plain, today),
                    **{f"contact_{name}": contact[name] for name in contact},
                    "source_document": source["document"],
                    "source_line": source["line"],
                },
                reference,
            )
        except ValidationError as error:
            note(entry, error.normalized_messages(), problems)
            continue
        except InvalidInput as error:
            note(entry, error.fields, problems)
            continue
        problems.extend(
            entry.problem(name, f"“{code}” is not known")
            for name, code in (
                ("organisation", meta["organisation"]),
                ("certified_by", values.get("certified_by")),
            )
            if code and code not in organisations
        )
        if meta["reference"] in seen:
            problems.append(entry.problem("reference", "stands in this file twice"))
        seen.add(meta["reference"])
        yield meta, values


def _load_entries(
    session: Session,
    entries: list[tuple[dict[str, Any], dict[str, Any]]],
    organisations: dict[str, Organisation],
    loaded: Loaded,
    today: date,
) -> None:
    known = set(session.scalars(select(Entry.reference)))
    for number, (meta, values) in enumerate(entries):
        if meta["reference"] in known:
            loaded.known += 1
            continue
        organisation = organisations[meta["organisation"]]
        entry = Entry(
            kind=EntryKind(meta["kind"]),
            reference=meta["reference"],
            organisation=organisation,
            organisation_id=organisation.id,
            status=EntryStatus(meta["status"]),
            illustrative=meta["illustrative"],
        )
        write_entry(session, entry, values)
        day = today - timedelta(days=number % 90 + 1)
        moment = datetime.combine(day, time(12), tzinfo=UTC)
        entry.created_at = moment
        if entry.status == EntryStatus.PUBLISHED:
            entry.submitted_at = entry.published_at = moment
            entry.valid_until = entry.valid_until or day + VALIDITY
        session.add(entry)
        record(session, None, "entry.loaded", entry, after={"status": str(entry.status)})
        loaded.entries += 1


def _check_post(
    entry: Record,
    kind: str,
    organisations: dict[str, Organisation],
    reference: Reference,
    today: date,
    problems: list[Problem],
) -> tuple[dict[str, Any], dict[str, Any]] | None:
    groups = {name: value for name, value in entry.data.items() if name in _GROUPS}
    plain = {name: value for name, value in entry.data.items() if name not in _GROUPS}
    try:
        meta = dict(PostRecordSchema().load(groups))
        values = load(SCHEMAS[kind], _input_of(kind, meta, plain, today), reference)
    except ValidationError as error:
        note(entry, error.normalized_messages(), problems)
        return None
    except InvalidInput as error:
        note(entry, error.fields, problems)
        return None
    if meta["organisation"] not in organisations:
        problems.append(entry.problem("organisation", f"“{meta['organisation']}” is not known"))
        return None
    closes, expired = values.get("closes"), meta["status"] == PostStatus.EXPIRED
    if closes and (closes < today) != expired and meta["status"] in ("published", "expired"):
        problems.append(entry.problem("closes", f"does not fit the status {meta['status']}"))
    return meta, values


def _input_of(
    kind: str, meta: dict[str, Any], plain: dict[str, Any], today: date
) -> dict[str, Any]:
    """Lay a record out as the fields of the input schema."""
    data = _with_dates(plain, today)
    contact = meta.get("contact") or {}
    data |= {f"contact_{name}": contact[name] for name in contact}
    if kind == "need":
        money = meta.get("money") or {}
        data |= {f"money_{n}": money[n] for n in ("least", "most", "sealed") if n in money}
        if money:
            data["currency"] = money["currency"]
        if "places" in meta:
            data["localities"] = meta["places"]
        return data
    serves, capacity = meta.get("serves") or {}, meta.get("capacity") or {}
    data |= {
        f"serves_{new}": serves[old]
        for old, new in (
            ("countries", "countries"),
            ("subregions", "subregions"),
            ("organisation_kinds", "organisation_kinds"),
            ("outside_region", "outside"),
        )
        if old in serves
    }
    data |= {name: serves[name] for name in ("conditions", "own_country") if name in serves}
    data |= {
        {"per_beneficiary": "places_per_beneficiary"}.get(name, name): value
        for name, value in capacity.items()
    }
    experience, pilot = meta.get("experience") or {}, meta.get("pilot") or {}
    data |= {f"experience_{name}": value for name, value in experience.items()}
    if pilot:
        data |= {"pilot_hosted": pilot["hosted"], "pilot_brings": pilot["partner_brings"]}
    return data


def _with_dates(plain: dict[str, Any], today: date) -> dict[str, Any]:
    """A record whose relative dates (``"+240"``) are days of the calendar."""
    data = dict(plain)
    for name in DATES:
        if isinstance(data.get(name), str) and data[name][:1] in "+-":
            data[name] = (today + timedelta(days=int(data[name]))).isoformat()
        elif isinstance(data.get(name), date):
            data[name] = data[name].isoformat()
    return data


def _build(
    kind: str,
    meta: dict[str, Any],
    values: dict[str, Any],
    organisation: Organisation,
    author: User | None,
    today: date,
    number: int,
) -> Need | Offer:
    status = PostStatus(meta["status"])
    post = CLASSES[kind](
        reference=meta["reference"],
        organisation=organisation,
        organisation_id=organisation.id,
        author=author,
        status=status,
        source=meta["source"],
        illustrative=meta["illustrative"],
        comment=meta["comment"],
        version=0,
    )
    write(post, values)
    # Posts did not all come on one day: spread them over the last quarter.
    day = today - timedelta(days=number % 90 + 1)
    moment = datetime.combine(day, time(12), tzinfo=UTC)
    post.created_at = moment
    if status != PostStatus.DRAFT:
        post.submitted_at = moment
    if status not in NEVER_PUBLISHED:
        post.published_at = moment
        post.expires_on = post.closes or day + RENEWAL
        post.version = 1
        post.versions.append(PostVersion(number=1, content=content(post), author=author))
    if isinstance(post, Need) and meta["endorsed"] and author is not None:
        post.endorsed_by, post.endorsed_at = author, moment
    return post


def kept_password(path: Path) -> str:
    """The password of the demonstration accounts: made once, kept in the installation's folder."""
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}\n")
    return path.read_text().strip()


def clear_example(exchange: Exchange, session: Session) -> ClearingRound | None:
    """Clear the whole exchange once, so that what is scarce has its price on the board.

    Nothing is proposed to anybody: the round waits for the secretariat.

    Returns
    -------
    ClearingRound or None
        None where there is a round already, or nobody of the secretariat.
    """
    by = session.scalar(select(User).where(User.role == Role.SECRETARIAT).order_by(User.id))
    if by is None or session.scalar(select(ClearingRound.id).limit(1)) is not None:
        return None
    settings = {"name": "Ronda de ejemplo", "policy": "fair"}
    found = open_round(session, by, settings, exchange.reference)
    clear_round(exchange, session, by, found)
    return found
