"""The finder of pilot partners, invitations, and pairings that people suggest."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.wrappers import Response

from broker.directory_schemas import KIND_NAMES
from broker.matches import score_of
from broker.messages import field_problems, sentence
from broker.pairings import PairingSchema, suggest_pairing, suggest_pool
from broker.partners import KINDS, FoundPartner, PartnerFilter, find_partners, get_partner
from broker.pilots import (
    InvitationAnswerSchema,
    InvitationSchema,
    answer_invitation,
    get_invitation,
    invitations_of,
    invite_partner,
)
from broker.pools import MOST_MEMBERS
from broker.posts import find_live_post
from broker.task_forces import get_task_force, lay_out_force, require_partner_seeker
from broker.web.access import POSTERS, SIGNED_IN, allow, person
from broker.web.forms import read_form
from broker.web.presentation import PAGE_SIZE, Page, paginate
from broker.web.reading import database, exchange, language, today
from broker.web.task_forces import SEEKERS
from matching.partners import PartnerContribution
from models import Conflict, InvalidInput, Need, Offer

pages = Blueprint("partners", __name__)

CONTRIBUTION_NAMES = {
    "membership": _l("Member of the task force"),
    "pilots": _l("Pilots before"),
    "agreements": _l("Agreements on the theme"),
    "posts": _l("Posts on the theme"),
    "mandates": _l("Mandates that its posts cite"),
    "plan": _l("Its own action plan"),
    "entries": _l("Entries of the directories on the theme"),
}
"""Contribution to a partner's score → its name."""


@pages.context_processor
def names() -> dict[str, Any]:
    """Names that only these pages show."""
    return {
        "CONTRIBUTION_NAMES": CONTRIBUTION_NAMES,
        "KIND_NAMES": KIND_NAMES,
        "MANDATES": exchange().reference.terms.get("mandate", {}),
    }


@pages.app_template_filter("partner_reason")
def partner_reason(part: PartnerContribution) -> str:
    """What speaks for a partner, in a few words."""
    count = len(part.facts)
    words = {
        "pilots": ngettext("%(num)s pilot before", "%(num)s pilots before", count),
        "agreements": ngettext(
            "%(num)s agreement on the theme", "%(num)s agreements on the theme", count
        ),
        "posts": ngettext("%(num)s post on the theme", "%(num)s posts on the theme", count),
        "mandates": ngettext(
            "cites %(num)s mandate on the theme", "cites %(num)s mandates on the theme", count
        ),
        "plan": ngettext(
            "%(num)s line of its own action plan", "%(num)s lines of its own action plan", count
        ),
        "entries": ngettext(
            "%(num)s entry of the directories", "%(num)s entries of the directories", count
        ),
    }
    return words.get(part.name) or _("member of the task force")


def _filters() -> PartnerFilter:
    reference = exchange().reference
    kind, subregion = request.args.get("kind", ""), request.args.get("subregion", "")
    themes = [code for code in request.args.getlist("theme") if code in reference.codes("theme")]
    return PartnerFilter(
        themes=tuple(dict.fromkeys(themes)),
        subregion=subregion if subregion in reference.codes("subregion") else "",
        kind=kind if kind in KINDS else "",
    )


@pages.get("/task-forces/<code:code>/partners")
@allow(SEEKERS)
def find(code: str) -> str:
    """Countries and institutions for a pilot, best first, each with its reasons."""
    session, filters = database(), _filters()
    force = get_task_force(session, code)
    found = find_partners(exchange(), session, person(), force, filters)
    asked = request.args.get("page", "1")
    last = max(1, -(-len(found) // PAGE_SIZE))
    number = min(max(int(asked) if asked.isdecimal() and len(asked) < 9 else 1, 1), last)
    first = (number - 1) * PAGE_SIZE
    return render_template(
        "partners/find.html",
        force=force,
        filters=filters,
        page=Page(list(found[first : first + PAGE_SIZE]), number, len(found)),
    )


@pages.get("/task-forces/<code:code>/partners/<any(country,institution):who>/<code:partner>")
@allow(SEEKERS)
def show(code: str, who: str, partner: str) -> str:
    """All that speaks for one candidate, row by row, and the invitation."""
    return _show(code, who, partner)


def _show(code: str, who: str, partner: str, *, problems: Any = None, typed: Any = None) -> str:
    session, filters = database(), _filters()
    force = get_task_force(session, code)
    found: FoundPartner = get_partner(
        exchange(), session, person(), force, who, partner, filters.themes
    )
    return render_template(
        "partners/show.html",
        force=force,
        found=found,
        filters=filters,
        pilots=lay_out_force(session, force, language=language(), today=today()).pilots,
        problems=problems or {},
        typed=typed or {},
    )


@pages.post("/task-forces/<code:code>/partners/<any(country,institution):who>/<code:partner>")
@allow(SEEKERS)
def invite(code: str, who: str, partner: str) -> Any:
    """Invite a candidate to a pilot, whether it has posted or not."""
    session = database()
    force = get_task_force(session, code)
    try:
        data = read_form(request.form, InvitationSchema)
        made = invite_partner(session, person(), force, data, exchange().reference)
    except InvalidInput as error:
        problems = field_problems(error)
        return _show(code, who, partner, problems=problems, typed=request.form), 422
    flash(_("The invitation is sent. You find the answer here."), "success")
    return redirect(url_for("partners.invitation", invitation_id=made.id))


@pages.get("/task-forces/<code:code>/invitations")
@allow(SEEKERS)
def invitations(code: str) -> str:
    """All invitations of a task force, with what came of them."""
    session = database()
    force = get_task_force(session, code)
    require_partner_seeker(person(), force)
    return render_template(
        "partners/invitations.html", force=force, page=paginate(session, invitations_of(force))
    )


@pages.get("/invitations/<int:invitation_id>")
@allow(SIGNED_IN)
def invitation(invitation_id: int) -> str:
    """An invitation to a pilot, and what the invited organisation says."""
    found = get_invitation(database(), invitation_id, person())
    return render_template("partners/invitation.html", invitation=found)


@pages.post("/invitations/<int:invitation_id>/answer")
@allow(POSTERS)
def answer(invitation_id: int) -> Response:
    """Accept or decline for the invited organisation."""
    session, by = database(), person()
    found = get_invitation(session, invitation_id, by)
    data = read_form(request.form, InvitationAnswerSchema)
    willing = request.form.get("willing") == "true"
    answer_invitation(session, by, found, data, exchange().reference, willing=willing)
    flash(_("Your answer has been passed on."), "success")
    return redirect(url_for("partners.invitation", invitation_id=found.id))


@pages.get("/pairings/new")
@allow(SEEKERS)
def pairing() -> str:
    """Suggest that a need and an offer belong together."""
    return _pairing(dict(request.args))


def _pairing(typed: Any, problems: Any = None, refusal: str = "") -> str:
    session = database()
    need, offer = (find_live_post(session, kind, typed.get(kind, "")) for kind in ("need", "offer"))
    score = None
    if isinstance(need, Need) and isinstance(offer, Offer) and not refusal:
        try:
            score = score_of(exchange(), session, need, offer, on=today())
        except Conflict as error:
            refusal = sentence(error)
    return render_template(
        "partners/pairing.html",
        typed=typed,
        problems=problems or {},
        need=need,
        offer=offer,
        score=score,
        refusal=refusal,
    )


@pages.post("/pairings/new")
@allow(SEEKERS)
def pair() -> Any:
    """Show both sides a pair that the engine has missed, with the reason."""
    data = read_form(request.form, PairingSchema)
    try:
        made = suggest_pairing(exchange(), database(), person(), data, on=today())
    except InvalidInput as error:
        return _pairing(request.form, field_problems(error)), 422
    except Conflict as error:
        return _pairing(request.form, refusal=sentence(error)), 409
    flash(_("Both sides now see your suggestion, with your name and reason."), "success")
    need = made.need
    if need.is_own_of(person()) or person().moderates(need.subregions()):
        return redirect(url_for("matches.pair", need_id=made.need_id, offer_id=made.offer_id))
    return redirect(url_for("posts.page", kind="need", post_id=made.need_id))


@pages.get("/pools/new")
@allow(SEEKERS)
def pool() -> str:
    """Needs that could be one, to be looked at before their countries are asked."""
    return _pool(request.args.getlist("need"))


def _pool(references: list[str], refusal: str = "") -> str:
    chosen = list(dict.fromkeys(references))[:MOST_MEMBERS]
    found = [find_live_post(database(), "need", reference) for reference in chosen]
    return render_template(
        "partners/pool.html", needs=[need for need in found if need is not None], refusal=refusal
    )


@pages.post("/pools/new")
@allow(SEEKERS)
def ask() -> Any:
    """Ask the countries whether their needs may become one."""
    references = request.form.getlist("need")
    try:
        asked = suggest_pool(exchange(), database(), person(), {"needs": references})
    except InvalidInput as error:
        return _pool(references, sentence(error)), 422
    except Conflict as error:
        return _pool(references, sentence(error)), 409
    flash(_("The countries are asked. Nothing changes until each of them has consented."))
    return redirect(url_for("clearing.pool", pool_id=asked.id))
