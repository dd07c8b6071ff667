"""Needs and offers: lists, pages, versions, the form, and one's own desk."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from broker.accounts import find_organisation
from broker.advice import advise
from broker.balances import coverage_by_kind
from broker.desk import count_own_posts, own_posts
from broker.directory import cited_entries
from broker.duplicates import FACT_NAMES, LikelyDouble, doubles_of
from broker.interests import interest_cover
from broker.messages import field_problems, sentence
from broker.overview import agreements_of
from broker.posts import (
    SCHEMAS,
    blank,
    content,
    copy_post,
    count_choices,
    edit_post,
    find_posts,
    get_post,
    get_version,
    own_counterparts,
    possible_actions,
    renew_post,
    reopen_post,
    require_editable,
    require_withdrawable,
    seals_money,
    submit_post,
    visible_content,
    withdraw_post,
)
from broker.search import load_posts, search_own_posts, search_posts
from broker.sketch import Sketch
from broker.web.access import EVERYBODY, POSTERS, SIGNED_IN, WRITERS, allow, person, reader
from broker.web.desk import render_desk
from broker.web.forms import read_form
from broker.web.post_filters import chips, filter_groups, read_filters, sort_names
from broker.web.post_form import (
    PostForm,
    countries_of,
    differences,
    mandate_groups,
    stored_form,
    take_hints,
    typed_form,
)
from broker.web.post_history import changes_between
from broker.web.presentation import day, paginate, paginate_numbers, post_address
from broker.web.reading import database, exchange, language, today
from broker.writing import (
    LONGEST_TOKEN,
    find_form,
    new_token,
    saved,
    start_once,
    unsaved_forms,
)
from matching.search import Found
from models import Conflict, DomainError, InvalidInput, Need, Offer, PostStatus

pages = Blueprint("posts", __name__)


@pages.get("/needs")
@allow(EVERYBODY)
def needs() -> str:
    """What is asked for, narrowed by filters that live in the address."""
    return _list("need")


@pages.get("/offers")
@allow(EVERYBODY)
def offers() -> str:
    """What is offered, narrowed by filters that live in the address."""
    return _list("offer")


def _list(kind: str) -> str:
    session, reference = database(), exchange().reference
    filters = read_filters(kind, request.args)
    results = search_posts(exchange(), session, filters, counted=True) if filters.text else None
    counts = results.counts if results else count_choices(session, filters)
    organisation = filters.organisation and find_organisation(session, filters.organisation)
    return render_template(
        "posts/list.html",
        kind=kind,
        filters=filters,
        page=paginate_numbers(results.ids, partial(load_posts, session))
        if results
        else paginate(session, find_posts(filters)),
        found=results.found if results else Found(),
        groups=filter_groups(filters, counts, reference, language()),
        chips=chips(
            filters, reference, language(), organisation.name(language()) if organisation else ""
        ),
        sorts=sort_names(filters),
    )


@pages.get("/<kind:kind>/<int:post_id>")
@allow(EVERYBODY)
def page(kind: str, post_id: int) -> str:
    """Everything that a post says to this reader, and what she can do with it."""
    session, by = database(), reader()
    post = get_post(session, kind, post_id, by)
    agreements = session.scalars(agreements_of(post)).all()
    return render_template(
        "posts/page.html",
        post=post,
        coverage=coverage_by_kind(post, agreements, exchange().reference)
        if isinstance(post, Need)
        else [],
        said=visible_content(post, by),
        sealed=seals_money(post, by),
        cover=interest_cover(session, [post], exchange().reference)[post.id]
        if by is not None and isinstance(post, Need)
        else None,
        actions=possible_actions(post, by),
        counterparts=own_counterparts(session, post, by),
        cited=cited_entries(session, post, by) if isinstance(post, Offer) else [],
        agreements=agreements,
    )


@pages.get("/<kind:kind>/<int:post_id>/versions/<int:number>")
@allow(EVERYBODY)
def version(kind: str, post_id: int, number: int) -> str:
    """A published text as others saw it, and what changed in it."""
    by = reader()
    post = get_post(database(), kind, post_id, by)
    shown = get_version(post, number)
    said = visible_content(post, by, shown.content)
    before = get_version(post, number - 1).content if number > 1 else shown.content
    return render_template(
        "posts/version.html",
        post=post,
        version=shown,
        said=said,
        sealed=seals_money(post, by, shown.content),
        changes=changes_between(post, visible_content(post, by, before), said),
    )


@pages.route("/<kind:kind>/new", methods=["GET", "POST"])
@allow(WRITERS)
def new(kind: str) -> Any:
    """Write a post: kept as a draft, or handed in for review."""
    begun = blank(person(), kind)
    if request.method == "POST":
        return _save(kind, None, begun)
    return _open(kind, None, begun)


@pages.route("/<kind:kind>/<int:post_id>/edit", methods=["GET", "POST"])
@allow(WRITERS)
def edit(kind: str, post_id: int) -> Any:
    """Change a post; a published one goes on as a new version."""
    post = get_post(database(), kind, post_id, person())
    require_editable(post, person())
    if request.method == "POST":
        return _save(kind, post, content(post))
    return _open(kind, post, content(post))


def _open(kind: str, post: Need | Offer | None, stored: dict[str, Any]) -> Any:
    """The form with what is stored, or with text that was typed before and is not saved yet."""
    reference = exchange().reference
    kept = find_form(database(), person(), request.args.get("form", ""))
    if kept is None or kept.kind != kind or not kept.fields:
        return _form(stored_form(kind, post, stored, reference))
    if kept.post is not None and kept.post is not post:
        return redirect(post_address(kept.post, "edit", form=kept.token))
    typed = MultiDict([(name, value) for name, value in kept.fields])
    values = {**stored, **read_form(typed, SCHEMAS[kind])}
    form = typed_form(kind, post, values, typed, reference)
    return _form(replace(form, token=kept.token, restored=True, revision=kept.revision))


def _save(kind: str, post: Need | Offer | None, stored: dict[str, Any]) -> Any:
    session, by, reference = database(), person(), exchange().reference
    sent = take_hints(request.form, reference)
    typed = read_form(sent, SCHEMAS[kind])
    then = "suggest" if "take" in sent else sent.get("then", "save")
    kept = find_form(session, by, sent.get("form", ""))
    if post is None and kept is not None and isinstance(kept.post, Need | Offer):
        # The same form once more: a double click, or the way back after it was sent.
        post, stored = kept.post, content(kept.post)
        sent["revision"] = str(kept.revision if post.status in UNREAD else -1)
    sketch = Sketch(kind, {**stored, **typed}, by.organisation_id, post.id if post else 0)
    if then == "suggest":
        advice = advise(exchange(), session, sketch, by, on=today())
        return _form(_advised(sketch, post, sent, advice=advice, doubles=advice.doubles))
    submits, opened = then == "submit", post
    if post is not None and _is_sent(post, typed, sent, submits):
        return _saved(post, submits)
    if submits and (doubles := _unseen_doubles(sketch, sent)):
        return _form(_advised(sketch, post, sent, doubles=doubles)), 409
    try:
        if post is None:
            token = sent.get("form", "")
            post, made = start_once(session, by, kind, typed, reference, token=token)
            if not made:
                return _save(kind, post, content(post))
        else:
            edit_post(
                session, by, post, typed, reference, revision=sent.get("revision", -1, type=int)
            )
        if submits:
            submit_post(session, by, post, reference, today=today())
        saved(session, by, sent.get("form", ""), post)
        session.flush()
    except (InvalidInput, Conflict, StaleDataError) as error:
        return _again(kind, opened, {**stored, **typed}, error)
    if then.startswith("step-"):
        flash(_("Saved as a draft. Go on with the next step, now or another day."), "success")
        return redirect(f"{post_address(post, 'edit')}#{then}")
    return _saved(post, submits)


UNREAD = frozenset({PostStatus.DRAFT, PostStatus.RETURNED})
"""Statuses in which nobody but its writers has read a post's present text."""


def _is_sent(
    post: Need | Offer, typed: dict[str, Any], sent: MultiDict[str, str], submits: bool
) -> bool:
    """Whether what a form says has been done already: the same was sent twice."""
    stale = sent.get("revision", -1, type=int) != post.revision
    waits = submits and post.status in UNREAD
    return stale and not waits and not differences(content(post), typed)


def _advised(
    sketch: Sketch, post: Need | Offer | None, sent: MultiDict[str, str], **advice: Any
) -> PostForm:
    """The form once more with what was typed, and beside it what the exchange has to say to it."""
    form = typed_form(sketch.kind, post, sketch.values, sent, exchange().reference)
    return replace(form, revision=sent.get("revision", type=int), **advice)


def _unseen_doubles(sketch: Sketch, sent: MultiDict[str, str]) -> list[LikelyDouble]:
    """Likely doubles, if there is one among them that the writer has not been shown."""
    found = doubles_of(exchange(), database(), sketch, elsewhere=True)
    seen = sent.get("known_doubles", "").split(",")
    return found if any(str(double.post.id) not in seen for double in found) else []


def _again(
    kind: str, post: Need | Offer | None, values: dict[str, Any], error: Exception
) -> tuple[str, int]:
    """The form once more, with what was typed and what is wrong with it."""
    database().rollback()
    if isinstance(error, StaleDataError):
        error = Conflict("post_changed")
    assert isinstance(error, DomainError)  # noqa: S101 - those are all that is caught
    conflict = isinstance(error, Conflict)
    shown = typed_form(
        kind,
        post,
        values,
        take_hints(request.form, exchange().reference),
        exchange().reference,
        problems=field_problems(error) if isinstance(error, InvalidInput) else {},
        notice=sentence(error),
        conflict=conflict,
    )
    return _form(shown), 409 if conflict else 422


def _form(form: PostForm) -> str:
    reference, by = exchange().reference, person()
    token = form.token or request.form.get("form", "") or new_token()
    unsaved = [] if form.restored else unsaved_forms(database(), by, form.post, kind=form.kind)
    return render_template(
        "posts/form.html",
        form=replace(form, token=token[:LONGEST_TOKEN]),
        unsaved=[kept for kept in unsaved if kept.token != token],
        mandate_groups=mandate_groups(reference, language()),
        modalities=reference.modalities,
        own_countries=partial(countries_of, reference, language()),
        FACT_NAMES=FACT_NAMES,
    )


def _saved(post: Need | Offer, submitted: bool) -> Response:
    """Say what happened, on the post's page."""
    if submitted and post.is_live:
        words = _("Published: it is on the exchange now. Look at its matches.")
    elif submitted:
        words = _("Submitted for review. Meanwhile, look at the matches that it will have.")
    elif post.is_live:
        words = _("Your changes are published as version %(number)s.", number=post.version)
    else:
        words = _("Saved. Only your organisation sees it until it is published.")
    flash(words, "success")
    return redirect(post_address(post))


@pages.post("/<kind:kind>/<int:post_id>/submit")
@allow(WRITERS)
def submit(kind: str, post_id: int) -> Any:
    """Hand a draft in for review; what is missing is shown in the form."""
    post = get_post(database(), kind, post_id, person())
    sketch = Sketch(kind, content(post), post.organisation_id, post.id)
    if doubles := _unseen_doubles(sketch, request.form):
        stored = stored_form(kind, post, content(post), exchange().reference)
        return _form(replace(stored, doubles=doubles)), 409
    try:
        submit_post(database(), person(), post, exchange().reference, today=today())
    except InvalidInput as error:
        problems = field_problems(error)
        return _form(stored_form(kind, post, content(post), exchange().reference, problems)), 422
    return _saved(post, True)


@pages.route("/<kind:kind>/<int:post_id>/withdraw", methods=["GET", "POST"])
@allow(SIGNED_IN)
def withdraw(kind: str, post_id: int) -> Any:
    """Ask, and then take a post off the exchange."""
    post = get_post(database(), kind, post_id, person())
    require_withdrawable(post, person())
    if request.method == "GET":
        return render_template("posts/withdraw.html", post=post)
    withdraw_post(database(), person(), post)
    flash(_("Withdrawn. Its history stays, and it can be reopened as a draft."), "success")
    return redirect(url_for("posts.mine"))


@pages.post("/<kind:kind>/<int:post_id>/reopen")
@allow(WRITERS)
def reopen(kind: str, post_id: int) -> Response:
    """Make a withdrawn post a draft again."""
    post = get_post(database(), kind, post_id, person())
    reopen_post(database(), person(), post)
    flash(_("It is a draft again. Change it and submit it anew."), "success")
    return redirect(post_address(post))


@pages.post("/<kind:kind>/<int:post_id>/renew")
@allow(POSTERS)
def renew(kind: str, post_id: int) -> Response:
    """Keep a post on the exchange for longer."""
    post = get_post(database(), kind, post_id, person())
    renew_post(database(), person(), post, today=today())
    flash(_("It stays on the exchange until %(day)s.", day=day(post.expires_on)), "success")
    return redirect(post_address(post))


@pages.post("/<kind:kind>/<int:post_id>/copy")
@allow(WRITERS)
def copy(kind: str, post_id: int) -> Response:
    """Start a draft with the text of one's own post."""
    post = get_post(database(), kind, post_id, person())
    copied = copy_post(database(), person(), post, exchange().reference)
    flash(_("This draft is a copy of %(reference)s.", reference=post.reference), "success")
    return redirect(post_address(copied, "edit"))


@pages.get("/desk/posts")
@allow(WRITERS)
def own() -> str:
    """All that one's organisation has posted, of one status or of all."""
    status = request.args.get("status", "")
    wanted = [PostStatus(status)] if status in set(PostStatus) else []
    text = read_filters("need", request.args).text
    if text:
        found = search_own_posts(exchange(), database(), person(), text, *wanted)
        page = paginate_numbers(found.ids, partial(load_posts, database()))
    else:
        page = paginate(database(), own_posts(person(), *wanted))
    return render_template(
        "posts/own.html",
        page=page,
        text=text,
        counts=count_own_posts(database(), person()),
        status=wanted[0] if wanted else None,
    )


@pages.get("/desk")
@allow(SIGNED_IN)
def mine() -> str:
    """What waits for the person, and everything that her organisation has posted."""
    return render_desk(unsaved=unsaved_forms(database(), person()))
