"""The page on which an agreement's parties say who takes part and what everybody may read."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from broker.messages import field_problems, sentence
from broker.parties import (
    DisclosureSchema,
    KindSchema,
    PartySchema,
    add_party,
    change_kind,
    choose_disclosure,
    possible_parties,
    remove_party,
)
from broker.web.access import POSTERS, allow, person
from broker.web.agreements import back_to, leads_back, own_agreement, sent_values
from broker.web.errors import status_of
from broker.web.forms import read_form
from broker.web.reading import database, language
from models import OPEN_TERMS, InvalidInput

pages = Blueprint("parties", __name__)


@pages.route("/agreements/<int:agreement_id>/parties", methods=["GET", "POST"])
@allow(POSTERS)
@leads_back
def edit(agreement_id: int) -> Any:
    """Kind, parties and publicity; sent, it brings in a donor or partner."""
    if request.method == "GET":
        return _page(agreement_id)
    agreement = own_agreement(agreement_id)
    try:
        party = add_party(database(), person(), agreement, **sent_values(PartySchema))
    except InvalidInput as error:
        return _page(agreement_id, error), status_of(error)
    name = party.organisation.name(language())
    return back_to(
        agreement, _("%(who)s is asked to take part. Every side must accept anew.", who=name)
    )


def _page(agreement_id: int, refusal: InvalidInput | None = None) -> str:
    agreement = own_agreement(agreement_id)
    return render_template(
        "agreements/parties.html",
        agreement=agreement,
        own=agreement.party_of(person()),
        is_open=agreement.status in OPEN_TERMS,
        joining=possible_parties(database(), agreement, language()),
        values=read_form(request.form, PartySchema),
        problems=field_problems(refusal) if refusal else {},
        refusal=refusal and sentence(refusal),
    )


@pages.post("/agreements/<int:agreement_id>/parties/<int:party_id>/remove")
@allow(POSTERS)
@leads_back
def remove(agreement_id: int, party_id: int) -> Response:
    """Let a donor or partner go."""
    agreement = own_agreement(agreement_id)
    remove_party(database(), person(), agreement, party_id)
    return back_to(
        agreement, _("This organisation no longer takes part. Every side must accept anew.")
    )


@pages.post("/agreements/<int:agreement_id>/kind")
@allow(POSTERS)
@leads_back
def kind(agreement_id: int) -> Response:
    """Say what kind of agreement it is."""
    agreement = own_agreement(agreement_id)
    change_kind(database(), person(), agreement, **sent_values(KindSchema))
    return back_to(agreement, _("The kind of the agreement is kept."))


@pages.post("/agreements/<int:agreement_id>/disclosure")
@allow(POSTERS)
@leads_back
def disclosure(agreement_id: int) -> Response:
    """Say what the public register may show."""
    agreement = own_agreement(agreement_id)
    choose_disclosure(database(), person(), agreement, **sent_values(DisclosureSchema))
    return back_to(agreement, _("Your choice of what everybody may read is kept."))
