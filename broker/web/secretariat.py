"""The secretariat's pages: desk, review, accounts, match runs, audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from babel.dates import format_datetime
from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.accounts import find_organisation, set_active, set_trusted
from broker.audit_trail import ACTION_NAMES, ENTITY_NAMES, EventFilter, changes_of, find_events
from broker.delegation import delegations_of
from broker.duplicates import FACT_NAMES, doubles_in_queue
from broker.endorsements import find_delegates
from broker.explanations import BAND_NAMES, COMPONENT_NAMES
from broker.jobs import start_job
from broker.messages import field_problems
from broker.post_history import last_returns
from broker.posts import get_post, seals_money, visible_content
from broker.replay import replay_run, replay_sentences
from broker.report.answers import ANSWER_TIME, INTEREST_NAMES
from broker.report.figures import key_figures
from broker.report.rows import ReportRows, choose_run, count, run_pairs
from broker.report.scope import ReportScope
from broker.runs import count_by_band, get_run
from broker.schemas import Strict
from broker.secretariat import (
    GRANTABLE,
    HINTS,
    AccountSchema,
    GrantSchema,
    change_role,
    find_organisations,
    find_runs,
    find_users,
    get_user,
    hints,
    late_milestones,
    lay_out_work,
    open_account,
    posts_to_review,
    renew_password,
    review_post,
    scope_of,
    standing_of,
)
from broker.supply_demand import FACET_NAMES, codes_of
from broker.web.access import MODERATORS, SECRETARIAT, allow, person
from broker.web.forms import read_form
from broker.web.presentation import choices, paginate, role_name
from broker.web.reading import database, exchange, language, today
from broker.weights import first_moves, rows_of
from models import (
    AuditEvent,
    InvalidInput,
    NotFound,
    Organisation,
    User,
)

pages = Blueprint("secretariat", __name__)


@pages.context_processor
def names() -> dict[str, Any]:
    """Names of codes that only these pages show."""
    return {
        "FACET_NAMES": FACET_NAMES,
        "INTEREST_NAMES": INTEREST_NAMES,
        "BAND_NAMES": BAND_NAMES,
        "COMPONENT_NAMES": COMPONENT_NAMES,
        "ACTION_NAMES": ACTION_NAMES,
        "ENTITY_NAMES": ENTITY_NAMES,
        "HINTS": HINTS,
        "ROLE_CHOICES": [(str(role), role_name(role)) for role in GRANTABLE],
        "answer_days": ANSWER_TIME.days,
        "facet_choices": facet_choices,
        "event_address": event_address,
    }


def facet_choices(facet: str) -> list[tuple[str, str]]:
    """``(code, label)`` of what a facet can be; kinds of support without their modalities."""
    codes = set(codes_of(facet, exchange().reference))
    return [(code, words) for code, words in choices(facet) if code in codes]


def event_address(event: AuditEvent) -> str:
    """The page of what an event is about; a match has none of its own."""
    places: dict[str, tuple[str, dict[str, Any]]] = {
        "need": ("posts.page", {"kind": "need", "post_id": event.entity_id}),
        "offer": ("posts.page", {"kind": "offer", "post_id": event.entity_id}),
        "agreement": ("agreements.show", {"agreement_id": event.entity_id}),
        "user": ("secretariat.user", {"user_id": event.entity_id}),
        "organisation": ("public.organisation", {"code": event.reference}),
        "matchrun": ("secretariat.run", {"run_id": event.entity_id}),
        "clearinground": ("clearing.show", {"round_id": event.entity_id}),
        "roundproposal": ("clearing.proposal", {"proposal_id": event.entity_id}),
        "needpool": ("clearing.pool", {"pool_id": event.entity_id}),
    }
    if event.entity not in places:
        return ""
    endpoint, values = places[event.entity]
    return url_for(endpoint, **values)


@pages.app_template_filter("moment")
def moment(value: datetime) -> str:
    """A day with its hour, in UTC, in the reader's format."""
    return f"{format_datetime(value, 'medium', locale=get_locale())} UTC"


@pages.get("/secretariat")
@allow(MODERATORS)
def desk() -> str:
    """What waits, and how the exchange stands."""
    return render_template(
        "secretariat/desk.html",
        work=lay_out_work(database(), person(), today=today()),
        figures=key_figures(_rows()),
        scope=scope_of(person()),
    )


def _rows() -> ReportRows:
    """The rows of the report on the whole exchange as it stands now."""
    scope = ReportScope(today())
    run = choose_run(database(), scope)
    return ReportRows(database(), exchange().reference, scope, run, scope_of(person()))


@pages.get("/secretariat/queue")
@allow(MODERATORS)
def queue() -> str:
    """Posts that wait for review, the longest waiting first."""
    return _queue()


REVIEWED_AT_ONCE = 10
"""Posts that one page of the queue shows."""


def _queue(problems: Mapping[int, Any] | None = None) -> str:
    by = person()
    waiting = posts_to_review(database(), by)
    shown = waiting[:REVIEWED_AT_ONCE]
    doubles = doubles_in_queue(exchange(), database(), shown)
    return render_template(
        "secretariat/queue.html",
        waiting=len(waiting),
        posts=[
            (
                post,
                visible_content(post, by),
                seals_money(post, by),
                hints(post),
                doubles[post.id],
            )
            for post in shown
        ],
        FACT_NAMES=FACT_NAMES,
        returns=last_returns(database(), shown),
        problems=problems or {},
    )


@pages.post("/secretariat/queue/<kind:kind>/<int:post_id>/publish")
@allow(MODERATORS)
def publish(kind: str, post_id: int) -> Response:
    """Put a post on the exchange."""
    _review(kind, post_id)
    flash(_("The post is on the exchange."), "success")
    return redirect(url_for("secretariat.queue"))


@pages.post("/secretariat/queue/<kind:kind>/<int:post_id>/return")
@allow(MODERATORS)
def give_back(kind: str, post_id: int) -> Any:
    """Return a post to its author with a comment."""
    try:
        _review(kind, post_id, request.form.get("comment", ""))
    except InvalidInput as error:
        return _queue({post_id: field_problems(error)}), 422
    flash(_("The post is back with its author, with your comment."), "success")
    return redirect(url_for("secretariat.queue"))


def _review(kind: str, post_id: int, comment: str | None = None) -> None:
    session, by = database(), person()
    post = get_post(session, kind, post_id, by)
    read = request.form.get("revision", "")
    review_post(
        session,
        by,
        post,
        exchange().reference,
        revision=int(read) if read.isdecimal() else -1,
        today=today(),
        comment=comment,
    )


@pages.get("/secretariat/milestones")
@allow(MODERATORS)
def milestones() -> str:
    """Milestones of agreements in force that should have been reached by now."""
    late = late_milestones(today(), subregion=scope_of(person()))
    return render_template("secretariat/milestones.html", page=paginate(database(), late))


@pages.get("/secretariat/users")
@allow(SECRETARIAT)
def users() -> str:
    """Every account, with search."""
    text, role = request.args.get("q", "")[:200], _one_of("role", GRANTABLE)
    found = paginate(database(), find_users(person(), text, role))
    return render_template("secretariat/users.html", page=found, text=text, role=role)


@pages.route("/secretariat/users/new", methods=["GET", "POST"])
@allow(SECRETARIAT)
def new_user() -> Any:
    """Open an account; its password is shown this once."""
    data, problems = {"language": language(), **_typed(AccountSchema)}, {}
    if request.method == "POST":
        try:
            user, password = open_account(database(), person(), data, exchange().reference)
        except InvalidInput as error:
            problems = field_problems(error)
        else:
            return _told_once(user, password)
    page = render_template(
        "secretariat/new_user.html",
        typed=data,
        problems=problems,
        organisations=_organisation_choices(),
    )
    return page, (422 if problems else 200)


@pages.get("/secretariat/users/<int:user_id>")
@allow(SECRETARIAT)
def user(user_id: int) -> str:
    """One account, and what can be done with it."""
    return _user(get_user(database(), user_id, person()))


def _user(found: User, typed: Any = None, problems: Mapping[str, Any] | None = None) -> str:
    present = {
        "role": str(found.role),
        "organisation": found.organisation.code,
        "subregion": found.subregion,
    }
    return render_template(
        "secretariat/user.html",
        user=found,
        typed=typed or present,
        problems=problems or {},
        organisations=_organisation_choices(),
        delegation=delegations_of(database(), [found])[0] if found.is_delegate else None,
        colleagues=count(database(), find_delegates(found)),
    )


@pages.post("/secretariat/users/<int:user_id>/role")
@allow(SECRETARIAT)
def grant(user_id: int) -> Any:
    """Give an account another role or organisation."""
    found, data = get_user(database(), user_id, person()), _typed(GrantSchema)
    try:
        change_role(database(), person(), found, data, exchange().reference)
    except InvalidInput as error:
        return _user(found, data, field_problems(error)), 422
    flash(_("The role is granted."), "success")
    return redirect(url_for("secretariat.user", user_id=user_id))


@pages.post("/secretariat/users/<int:user_id>/active")
@allow(SECRETARIAT)
def open_or_close(user_id: int) -> Response:
    """Close an account, or open it again."""
    found = get_user(database(), user_id, person())
    set_active(database(), person(), found, request.form.get("active") == "true")
    flash(_("The account is open.") if found.active else _("The account is closed."), "success")
    return redirect(url_for("secretariat.user", user_id=user_id))


@pages.post("/secretariat/users/<int:user_id>/password")
@allow(SECRETARIAT)
def password(user_id: int) -> Response:
    """Make a new password for somebody who has lost hers."""
    found = get_user(database(), user_id, person())
    return _told_once(found, renew_password(database(), person(), found))


def _told_once(found: User, password: str) -> Response:
    page = make_response(
        render_template("secretariat/password.html", user=found, password=password)
    )
    page.headers["Cache-Control"] = "no-store"
    return page


def _organisation_choices() -> list[tuple[str, str]]:
    found = database().scalars(find_organisations())
    pairs = [(o.code, o.name(language())) for o in found]
    return sorted(pairs, key=lambda pair: pair[1].casefold())


@pages.get("/secretariat/organisations")
@allow(SECRETARIAT)
def organisations() -> str:
    """Every organisation, with search, and what it has on the exchange."""
    text, kind = request.args.get("q", "")[:200], _code_of("organisation_kind", "kind")
    page = paginate(database(), find_organisations(text, kind))
    standing = standing_of(database(), page.rows)
    return render_template(
        "secretariat/organisations.html", page=page, standing=standing, text=text, kind=kind
    )


@pages.post("/secretariat/organisations/<code>/trust")
@allow(SECRETARIAT)
def trust(code: str) -> Response:
    """Say whether an organisation's posts go on the exchange without waiting for review."""
    found: Organisation = find_organisation(database(), code)
    set_trusted(database(), person(), found, request.form.get("trusted") == "true")
    flash(
        _("Its posts now go on the exchange at once.")
        if found.trusted
        else _("Its posts are now reviewed before they go on the exchange."),
        "success",
    )
    return redirect(url_for("secretariat.organisations", q=code))


@pages.get("/secretariat/runs")
@allow(MODERATORS)
def runs() -> str:
    """The match runs, newest first."""
    return render_template("secretariat/runs.html", page=paginate(database(), find_runs()))


@pages.post("/secretariat/runs")
@allow(SECRETARIAT)
def run_now() -> Response:
    """Match the whole book, as a job whose page shows how far it is."""
    by = person()
    started = start_job(database(), by, "match_run", by_id=by.id)
    return redirect(url_for("jobs.show", job_id=started.id))


@pages.get("/secretariat/runs/<int:run_id>")
@allow(MODERATORS)
def run(run_id: int) -> str:
    """A match run: what made it, and its matches, best first."""
    found, band = get_run(database(), run_id), _one_of("band", BAND_NAMES)
    return render_template(
        "secretariat/run.html",
        run=found,
        band=band,
        bands=count_by_band(database(), found),
        page=paginate(database(), run_pairs(found, band)),
    )


@pages.get("/secretariat/runs/<int:run_id>/replay")
@allow(MODERATORS)
def replay(run_id: int) -> str:
    """A stored run made once more from the posts as they are now, and compared; nothing is kept."""
    found = replay_run(exchange(), database(), get_run(database(), run_id))
    return render_template(
        "secretariat/replay.html",
        replay=found,
        lines=replay_sentences(found),
        **rows_of(database(), first_moves(found.difference)),
    )


def _one_of(parameter: str, codes: Any) -> str:
    """The parameter's value; one that is none of ``codes`` leads nowhere."""
    value = request.args.get(parameter, "")
    if value and value not in codes:
        raise NotFound("no_such_page")
    return value


def _code_of(scheme: str, parameter: str) -> str:
    return _one_of(parameter, set(exchange().reference.codes(scheme)))


def _typed(schema: type[Strict]) -> dict[str, Any]:
    return read_form(request.form, schema)


def _day_of(name: str) -> date | None:
    """A day of the address; raises :class:`models.errors.InvalidInput` for what is none."""
    value = request.args.get(name, "")
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise InvalidInput({name: [("no_date", {})]}) from None


@pages.get("/secretariat/audit")
@allow(SECRETARIAT)
def audit() -> str:
    """Everything that was done: by whom, when, and what it changed."""
    filters = EventFilter(
        action=_one_of("action", ACTION_NAMES),
        entity=_one_of("entity", ENTITY_NAMES),
        person=request.args.get("person", "")[:200].strip(),
        reference=request.args.get("reference", "")[:80].strip(),
        text=" ".join(request.args.get("q", "")[:200].split()),
        since=_day_of("since"),
        until=_day_of("until"),
    )
    page = paginate(database(), find_events(filters, person()))
    return render_template(
        "secretariat/audit.html",
        page=page,
        filters=filters,
        changes=changes_of(database(), page.rows),
    )
