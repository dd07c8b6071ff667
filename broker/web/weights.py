"""The secretariat's pages of the weights: try others out, learn them, put them in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from broker.messages import field_problems, sentence
from broker.web.access import SECRETARIAT, allow, person
from broker.web.forms import read_form
from broker.web.reading import database, exchange, today
from broker.weights import (
    REASONS,
    AdoptionSchema,
    Lesson,
    WeightsSchema,
    WeightsTrial,
    adopt_weights,
    adopted_weights,
    finished_trial,
    learn_from_decisions,
    percents,
    read_weights,
    start_trial,
    takes_long,
    try_weights,
    weights_in_force,
)
from matching import Weights
from models import Conflict, DomainError, InvalidInput

pages = Blueprint("weights", __name__)


@pages.get("/secretariat/weights")
@allow(SECRETARIAT)
def show() -> Any:
    """The weights in force; with others in the address, what these would change."""
    typed = read_form(request.args, WeightsSchema)
    if not typed:
        return _page()
    try:
        weights = read_weights(typed, exchange().reference)
    except InvalidInput as error:
        return _page(typed, error=error), 422
    if takes_long(database()):
        return _page(typed, in_background=True)
    return _page(typed, _tried(weights))


@pages.post("/secretariat/weights/try")
@allow(SECRETARIAT)
def try_out() -> Any:
    """Try weights out on a large book, as a job whose page shows how far it is."""
    typed = read_form(request.form, WeightsSchema)
    try:
        started = start_trial(database(), person(), typed, exchange().reference)
    except InvalidInput as error:
        return _page(typed, error=error), 422
    return redirect(url_for("jobs.show", job_id=started.id))


@pages.get("/secretariat/weights/tried/<int:job_id>")
@allow(SECRETARIAT)
def tried(job_id: int) -> str:
    """What a dry run in the background found."""
    trial = finished_trial(database(), person(), job_id)
    return _page(percents(trial.weights), trial)


@pages.get("/secretariat/weights/learnt")
@allow(SECRETARIAT)
def learnt() -> str:
    """Weights learnt from what people accepted and dismissed, with how well they foretell it."""
    lesson = learn_from_decisions(exchange(), database(), person())
    proposal = percents(lesson.learnt.weights) if lesson.learnt else None
    return _page(proposal, lesson=lesson)


@pages.post("/secretariat/weights")
@allow(SECRETARIAT)
def adopt() -> Any:
    """Put weights in force, with the reason."""
    typed = read_form(request.form, AdoptionSchema)
    try:
        adopt_weights(database(), person(), typed, exchange().reference)
    except (InvalidInput, Conflict) as error:
        database().rollback()
        return _adoption_again(typed, error)
    flash(_("These weights are in force. Every list is ranked by them from now on."), "success")
    return redirect(url_for("weights.show"))


def _tried(weights: Weights) -> WeightsTrial:
    return try_weights(exchange(), database(), person(), weights, on=today())


def _adoption_again(typed: dict[str, Any], error: DomainError) -> tuple[str, int]:
    """The page once more with the dry run and what was typed, as far as the numbers hold."""
    shares = {name: typed[name] for name in WeightsSchema._declared_fields if name in typed}
    try:
        trial = _tried(read_weights(shares, exchange().reference))
    except InvalidInput as problem:
        return _page(typed, error=problem), 422
    return _page(typed, trial, error=error), 409 if isinstance(error, Conflict) else 422


def _page(
    typed: Mapping[str, Any] | None = None,
    trial: WeightsTrial | None = None,
    *,
    lesson: Lesson | None = None,
    in_background: bool = False,
    error: DomainError | None = None,
) -> str:
    present = weights_in_force(database())
    return render_template(
        "secretariat/weights.html",
        present=present,
        shares=percents(present.weights),
        defaults=percents(Weights()),
        typed=typed or percents(present.weights),
        trial=trial,
        lesson=lesson,
        in_background=in_background,
        problems=field_problems(error) if isinstance(error, InvalidInput) else {},
        notice=sentence(error) if isinstance(error, Conflict) else "",
        history=adopted_weights(database(), person()),
        percents=percents,
        REASONS=REASONS,
    )
