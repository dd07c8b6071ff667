"""The directories: found in public, written by those who know, reviewed, and put to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from marshmallow import Schema
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.wrappers import Response

from broker.accounts import find_organisation
from broker.agreements import get_agreement
from broker.directory import (
    blank,
    citable_offers,
    cite_entry,
    citing_offers,
    content,
    drop_citation,
    edit_entry,
    entries_to_review,
    get_entry,
    offer_from_entry,
    own_entries,
    possible_actions,
    publish_entry,
    renew_entry,
    reopen_entry,
    require_editable,
    return_entry,
    save_entry,
    submit_entry,
    tell_practice,
    visible_content,
    withdraw_entry,
    writes_for_others,
)
from broker.directory_schemas import (
    ENTRY_FIELD_NAMES,
    ENTRY_SCHEMAS,
    KIND_NAMES,
    MATURITY_NAMES,
)
from broker.directory_search import (
    NearEntry,
    load_entries,
    near_sentence,
    search_entries,
)
from broker.messages import field_problems, sentence
from broker.schemas import Day, Strict, load
from broker.web.access import (
    EVERYBODY,
    MODERATORS,
    OFFER_POSTERS,
    POSTERS,
    SECRETARIAT,
    allow,
    person,
    reader,
)
from broker.web.directory_filters import chips, filter_groups, read_filters, sort_names
from broker.web.forms import filled_rows, read_form
from broker.web.presentation import day, paginate, paginate_numbers, post_address
from broker.web.reading import database, exchange, language, today
from models import (
    Conflict,
    DomainError,
    Entry,
    EntryKind,
    EntryStatus,
    InvalidInput,
    Organisation,
    User,
)

pages = Blueprint("directory", __name__)

WRITERS = POSTERS | SECRETARIAT

SHELVES = {
    "institutions": EntryKind.INSTITUTION,
    "specialists": EntryKind.SPECIALIST,
    "technologies": EntryKind.TECHNOLOGY,
    "practices": EntryKind.PRACTICE,
}
"""Part of the address → kind of entry."""

SHELF_OF = {kind: shelf for shelf, kind in SHELVES.items()}

SHELF_NAMES = {
    "institutions": _l("Institutions"),
    "specialists": _l("Specialists"),
    "technologies": _l("Clean technologies and tools"),
    "practices": _l("Good practices"),
}
"""Directory → its name."""

SHELF_WORDS = {
    "institutions": _l("Who works on sustainable consumption and production, and what each does for others."),
    "specialists": _l("Consultants and auditors: who certified them, and until when."),
    "technologies": _l("Technologies and tools to use less and pollute less, how far they have come and what they save."),
    "practices": _l("Demonstration projects and good practices, with their results and whom to ask."),
}  # fmt: skip
"""Directory → what stands in it."""

EMPTY_ROWS = 3
"""Empty rows for further figures on a form."""


@pages.app_template_filter("entry_field")
def entry_field(name: str) -> str:
    """The name of a field of an entry, as it stands within a sentence."""
    words = str(ENTRY_FIELD_NAMES.get(name, name))
    return words[:1].lower() + words[1:]


@pages.app_template_filter("near_reason")
def near_reason(near: NearEntry) -> str:
    """Why an entry is shown for a need."""
    return near_sentence(near, exchange().reference, language())


# --- Finding ----------------------------------------------------------------------------------


@pages.get("/directory")
@allow(EVERYBODY)
def entries() -> str:
    """All directories at once, narrowed by filters that live in the address."""
    return _list("")


@pages.get("/directory/<any(institutions,specialists,technologies,practices):shelf>")
@allow(EVERYBODY)
def shelf(shelf: str) -> str:
    """One directory."""
    return _list(shelf)


def _list(shelf: str) -> str:
    session, reference = database(), exchange().reference
    filters = read_filters(request.args, SHELVES.get(shelf))
    results = search_entries(exchange(), session, filters, on=today())
    organisation = (
        find_organisation(session, filters.organisation).name(language())
        if filters.organisation
        else ""
    )
    return render_template(
        "directory/list.html",
        shelf=shelf,
        shelves=SHELF_NAMES,
        shelf_words=SHELF_WORDS,
        filters=filters,
        results=results,
        page=paginate_numbers(results.ids, partial(load_entries, session)),
        groups=filter_groups(filters, results.counts, reference, language(), within=bool(shelf)),
        chips=chips(filters, reference, language(), organisation, within=bool(shelf)),
        sorts=sort_names(filters),
        KIND_NAMES=KIND_NAMES,
        writes=_may_begin(reader()),
    )


def _may_begin(user: User | None) -> bool:
    return user is not None and user.role in WRITERS


@pages.get("/directory/entries/<int:entry_id>")
@allow(EVERYBODY)
def page(entry_id: int) -> str:
    """Everything that an entry says to this reader, and what she can do with it."""
    return _page(get_entry(database(), entry_id, reader()))


def _page(entry: Entry, problems: Mapping[str, Any] | None = None) -> str:
    session, by = database(), reader()
    actions = possible_actions(entry, by)
    return render_template(
        "directory/page.html",
        entry=entry,
        shelf=SHELF_OF[EntryKind(entry.kind)],
        shelves=SHELF_NAMES,
        said=visible_content(entry, by),
        actions=actions,
        citing=citing_offers(session, entry, by),
        citable=citable_offers(session, by, entry) if by and "cite" in actions else [],
        problems=problems or {},
        names=ENTRY_FIELD_NAMES,
        maturities=MATURITY_NAMES,
        KIND_NAMES=KIND_NAMES,
    )


# --- Writing ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class EntryForm:
    """The form of a new entry (``entry`` None) or of one that is changed.

    Attributes
    ----------
    rows : list of dict
        Figures as stored or as typed, with empty ones after them.
    """

    kind: EntryKind
    entry: Entry | None
    values: Mapping[str, Any]
    rows: list[Mapping[str, Any]]
    problems: Mapping[str, Any] = field(default_factory=dict)
    notice: str = ""
    revision: int | None = None


@pages.route(
    "/directory/<any(institutions,specialists,technologies,practices):shelf>/new",
    methods=["GET", "POST"],
)
@allow(WRITERS)
def new(shelf: str) -> Any:
    """Write an entry: kept as a draft, or handed in for review."""
    kind, begun = SHELVES[shelf], blank(person())
    if request.method == "POST":
        return _save(kind, None, begun)
    return _form(EntryForm(kind, None, begun, _rows([])))


@pages.route("/directory/entries/<int:entry_id>/edit", methods=["GET", "POST"])
@allow(WRITERS)
def edit(entry_id: int) -> Any:
    """Change an entry."""
    entry = get_entry(database(), entry_id, person())
    require_editable(entry, person())
    if request.method == "POST":
        return _save(EntryKind(entry.kind), entry, content(entry))
    return _form(_stored(entry))


def _stored(entry: Entry, problems: Mapping[str, Any] | None = None) -> EntryForm:
    values = content(entry)
    return EntryForm(
        EntryKind(entry.kind),
        entry,
        values,
        _rows(values.get("figures") or []),
        problems or {},
        revision=entry.revision,
    )


def _rows(filled: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [*filled, *({} for _row in range(EMPTY_ROWS))]


def _save(kind: EntryKind, entry: Entry | None, stored: dict[str, Any]) -> Any:
    session, by, reference = database(), person(), exchange().reference
    typed = read_form(request.form, ENTRY_SCHEMAS[kind])
    submits = request.form.get("then") == "submit"
    try:
        if entry is None:
            saved = save_entry(session, by, kind, typed, reference)
        else:
            revision = request.form.get("revision", -1, type=int)
            saved = edit_entry(session, by, entry, typed, reference, revision=revision)
        if submits:
            submit_entry(session, by, saved, reference, today=today())
        session.flush()
    except (InvalidInput, Conflict, StaleDataError) as error:
        return _again(kind, entry, {**stored, **typed}, error)
    return _saved(saved, submits)


def _again(
    kind: EntryKind, entry: Entry | None, values: dict[str, Any], error: Exception
) -> tuple[str, int]:
    """The form once more, with what was typed and what is wrong with it."""
    database().rollback()
    if isinstance(error, StaleDataError):
        error = Conflict("entry_changed")
    assert isinstance(error, DomainError)  # noqa: S101 - those are all that is caught
    if entry is not None:
        database().refresh(entry)
    form = EntryForm(
        kind,
        entry,
        values,
        _rows(list(filled_rows(request.form, "figures").values())),
        field_problems(error) if isinstance(error, InvalidInput) else {},
        sentence(error) if isinstance(error, Conflict) else "",
        entry.revision if entry is not None else None,
    )
    return _form(form), 409 if isinstance(error, Conflict) else 422


def _form(form: EntryForm) -> str:
    chooses = writes_for_others(person())
    names = _organisations(database()) if chooses or form.kind == EntryKind.SPECIALIST else []
    return render_template(
        "directory/form.html",
        form=form,
        chooses=chooses,
        organisations=names,
        shelf=SHELF_OF[form.kind],
        shelves=SHELF_NAMES,
        names=ENTRY_FIELD_NAMES,
        maturities=MATURITY_NAMES,
        KIND_NAMES=KIND_NAMES,
    )


def _organisations(session: Session) -> list[tuple[str, str]]:
    """``(code, name)`` of every organisation, in the order of their names."""
    found = session.scalars(select(Organisation))
    return sorted(((one.code, one.name(language())) for one in found), key=lambda pair: pair[1])


def _address(entry: Entry) -> Response:
    return redirect(url_for("directory.page", entry_id=entry.id))


def _saved(entry: Entry, submitted: bool) -> Response:
    """Say what happened, on the entry's page."""
    if entry.status == EntryStatus.PUBLISHED:
        words = _("Published: everybody finds it in the directory now.")
    elif submitted:
        words = _(
            "Submitted for review. The secretariat publishes it or returns it with a comment."
        )
    else:
        words = _("Saved. Only your organisation and its moderators see it until it is published.")
    flash(words, "success")
    return _address(entry)


@pages.post("/directory/entries/<int:entry_id>/submit")
@allow(WRITERS)
def submit(entry_id: int) -> Any:
    """Hand a draft in for review; what is missing is shown in the form."""
    entry = get_entry(database(), entry_id, person())
    try:
        submit_entry(database(), person(), entry, exchange().reference, today=today())
    except InvalidInput as error:
        return _form(_stored(entry, field_problems(error))), 422
    return _saved(entry, True)


@pages.route("/directory/entries/<int:entry_id>/withdraw", methods=["GET", "POST"])
@allow(WRITERS)
def withdraw(entry_id: int) -> Any:
    """Ask, and then take an entry out of the directory."""
    entry = get_entry(database(), entry_id, person())
    entry.require_editor(person())
    if request.method == "GET":
        return render_template("directory/withdraw.html", entry=entry)
    withdraw_entry(database(), person(), entry)
    flash(_("Withdrawn. It can be reopened as a draft."), "success")
    return redirect(url_for("directory.own"))


@pages.post("/directory/entries/<int:entry_id>/reopen")
@allow(WRITERS)
def reopen(entry_id: int) -> Response:
    """Make a withdrawn entry a draft again."""
    entry = get_entry(database(), entry_id, person())
    reopen_entry(database(), person(), entry)
    flash(_("It is a draft again. Change it and submit it anew."), "success")
    return _address(entry)


class RenewalSchema(Strict):
    """Until when an entry holds from now on."""

    valid_until = Day(load_default=None)


@pages.post("/directory/entries/<int:entry_id>/renew")
@allow(WRITERS)
def renew(entry_id: int) -> Any:
    """Say that an entry still holds; a certificate, with its new date."""
    entry = get_entry(database(), entry_id, person())
    try:
        until = _sent(RenewalSchema)["valid_until"]
        renew_entry(database(), person(), entry, until=until, today=today())
    except InvalidInput as error:
        return _page(entry, field_problems(error)), 422
    flash(_("It holds until %(day)s.", day=day(entry.valid_until)), "success")
    return _address(entry)


def _sent(schema: type[Schema]) -> dict[str, Any]:
    return load(schema, read_form(request.form, schema), exchange().reference)


@pages.get("/desk/directory")
@allow(WRITERS)
def own() -> str:
    """All that one's organisation has in the directories, and what one wrote for others."""
    return render_template(
        "directory/own.html",
        page=paginate(database(), own_entries(person())),
        shelves=SHELF_NAMES,
        KIND_NAMES=KIND_NAMES,
    )


# --- Review -----------------------------------------------------------------------------------


@pages.get("/secretariat/directory")
@allow(MODERATORS)
def review() -> str:
    """Entries that wait for review, the longest waiting first."""
    return _review()


def _review(problems: Mapping[int, Any] | None = None) -> str:
    waiting = entries_to_review(database(), person())
    return render_template(
        "directory/review.html",
        waiting=len(waiting),
        entries=[(entry, visible_content(entry, person())) for entry in waiting[:20]],
        problems=problems or {},
        names=ENTRY_FIELD_NAMES,
        maturities=MATURITY_NAMES,
        KIND_NAMES=KIND_NAMES,
    )


@pages.post("/secretariat/directory/<int:entry_id>/publish")
@allow(MODERATORS)
def publish(entry_id: int) -> Response:
    """Make a submitted entry public."""
    publish_entry(database(), person(), _unchanged(entry_id), today=today())
    flash(_("The entry is in the directory."), "success")
    return redirect(url_for("directory.review"))


@pages.post("/secretariat/directory/<int:entry_id>/return")
@allow(MODERATORS)
def give_back(entry_id: int) -> Any:
    """Return a submitted entry with a comment."""
    entry = _unchanged(entry_id)
    try:
        return_entry(database(), person(), entry, request.form.get("comment", "")[:4000])
    except InvalidInput as error:
        return _review({entry.id: field_problems(error)}), 422
    flash(_("The entry went back to its author with your comment."), "success")
    return redirect(url_for("directory.review"))


def _unchanged(entry_id: int) -> Entry:
    """The entry, if it still says what the reviewer has read."""
    entry = get_entry(database(), entry_id, person())
    if request.form.get("revision", entry.revision, type=int) != entry.revision:
        raise Conflict("entry_changed", revision=entry.revision)
    return entry


# --- Putting to use ---------------------------------------------------------------------------


@pages.post("/agreements/<int:agreement_id>/practice")
@allow(POSTERS)
def practice(agreement_id: int) -> Response:
    """Begin a good practice with what a completed agreement says of itself."""
    agreement = get_agreement(database(), agreement_id, person())
    entry = tell_practice(database(), person(), agreement, exchange().reference)
    if entry.status != EntryStatus.DRAFT:
        return _address(entry)
    flash(
        _("This draft says what the agreement says of itself. Complete it and submit it."),
        "success",
    )
    return redirect(url_for("directory.edit", entry_id=entry.id))


@pages.post("/directory/entries/<int:entry_id>/offer")
@allow(OFFER_POSTERS)
def offer(entry_id: int) -> Response:
    """Begin an offer with what one's own entry says."""
    entry = get_entry(database(), entry_id, person())
    begun = offer_from_entry(database(), person(), entry, exchange().reference)
    flash(_("This draft says what the entry says. Complete it and submit it."), "success")
    return redirect(post_address(begun, "edit"))


@pages.post("/directory/entries/<int:entry_id>/cite")
@allow(OFFER_POSTERS)
def cite(entry_id: int) -> Response:
    """Name an entry as experience in one's own offer."""
    entry = get_entry(database(), entry_id, person())
    cited_in = cite_entry(database(), person(), entry, request.form.get("offer", 0, type=int))
    flash(_("%(reference)s names it as experience now.", reference=cited_in.reference), "success")
    return _address(entry)


@pages.post("/directory/entries/<int:entry_id>/cite/<int:offer_id>/drop")
@allow(OFFER_POSTERS)
def drop(entry_id: int, offer_id: int) -> Response:
    """No longer name an entry in one's own offer."""
    entry = get_entry(database(), entry_id, person())
    drop_citation(database(), person(), entry, offer_id)
    flash(_("The offer no longer names it."), "success")
    return _address(entry)
