"""``broker match``, ``explain``, ``suggest`` and ``evaluate``: the engine from the shell."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.commands.terminal import FAILED, open_exchange, progress_bar, spoken_language
from broker.exchange import Exchange
from broker.reference import Reference
from matching import MICRO
from models import LANGUAGES, DomainError, Need, Offer

if TYPE_CHECKING:
    from broker.matches import Apart


@click.command()
@click.option("--need", "reference", help="Only this need, by its reference; nothing is stored.")
@click.option(
    "--replay",
    "run_id",
    type=int,
    help="Make this stored run once more and compare; by its number.",
)
def match(reference: str | None, run_id: int | None) -> None:
    """Match the whole book and store the run, or rank the offers for one need.

    With --replay nothing is stored; the exit code is 1 if the same input gave another result.
    """
    exchange = open_exchange()
    if run_id is not None:
        _replay(exchange, run_id)
    elif reference is not None:
        _rank_offers(exchange, reference)
    else:
        _match_book(exchange)


def _match_book(exchange: Exchange) -> None:
    from broker.runs import run_matching

    with exchange.writing() as session:
        run = run_matching(exchange, session, None, progress=progress_bar)
        click.echo(
            f"Run {run.id}: {run.needs} needs, {run.offers} offers, "
            f"{run.eligible_pairs} eligible pairs, {run.matches} matches, "
            f"{run.unmet_needs} unmet needs, {run.seconds:.2f} s."
        )


def _rank_offers(exchange: Exchange, reference: str) -> None:
    from broker.explanations import reason_sentence
    from broker.matches import ranked_offers

    with exchange.reading() as session:
        ranked = ranked_offers(
            exchange, session, _post(session, Need, reference), on=exchange.today()
        )
        for match in ranked:
            reason = reason_sentence(match.reason, exchange.reference, spoken_language())
            click.echo(
                f"{match.points:6.2f}  {match.band:<8}  {match.offer.reference:<28} {reason}"
            )
    if not ranked:
        click.echo("No offer on the exchange can serve this need now.")


def _replay(exchange: Exchange, run_id: int) -> None:
    from broker.replay import replay_run, replay_sentences
    from broker.runs import get_run

    with exchange.reading() as session:
        replay = replay_run(exchange, session, get_run(session, run_id))
        for line in replay_sentences(replay):
            click.echo(line)
    if replay.verdict == "broken":
        sys.exit(FAILED)


@click.command()
@click.argument("need_reference", metavar="NEED")
@click.argument("offer_reference", metavar="OFFER")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def explain(need_reference: str, offer_reference: str, as_object: bool) -> None:
    """Take the score of NEED and OFFER apart, or name the rules that keep them apart.

    Both are references, e.g. need-pe-016. At the end stand the edits that would raise the score
    most.
    """
    from broker.matches import take_apart

    exchange = open_exchange()
    with exchange.reading() as session:
        need = _post(session, Need, need_reference)
        offer = _post(session, Offer, offer_reference)
        pair = take_apart(exchange, session, need, offer, on=exchange.today())
        if as_object:
            click.echo(json.dumps(asdict(pair), default=_plain, ensure_ascii=False))
        elif pair.explanation.failures:
            _tell_why_not(pair, exchange.reference)
        else:
            _tell_score(pair, exchange.reference)


def _tell_why_not(pair: Apart, reference: Reference) -> None:
    from broker.explanations import failure_sentence

    for failure in pair.explanation.failures:
        click.echo(failure_sentence(failure, reference, spoken_language()))
    without = pair.why_not
    click.echo(
        f"Without that: {without.points:.1f} points, rank {without.rank} of {without.eligible + 1}."
    )


def _tell_score(pair: Apart, reference: Reference) -> None:
    from broker.explanations import COMPONENT_NAMES, change_sentence, contribution_sentences

    language, found = spoken_language(), pair.explanation
    click.echo(
        f"{found.points:.2f} points ({found.band}), "
        f"rank {pair.why_not.rank} of {pair.why_not.eligible}."
    )
    for part in found.contributions:
        most = part.possible / MICRO
        click.echo(f"  {part.points:6.2f} of {most:5.2f}  {COMPONENT_NAMES[part.component]}")
        for _name, _state, words in contribution_sentences(part, reference, language):
            click.echo(f"                   {words}")
    for change in pair.changes:
        sentence = change_sentence(change, reference, language)
        click.echo(f"  +{change.points:.1f}  {sentence}")


def _post(session: Any, kind: type[Any], reference: str) -> Any:
    """A post by its reference."""
    from sqlalchemy import select

    from broker.posts import WHOLE

    found = session.scalar(select(kind).where(kind.reference == reference).options(*WHOLE))
    if found is None:
        raise DomainError("no_such_reference", reference=reference)
    return found


def _plain(value: Any) -> Any:
    """What JSON does not know, as text or list."""
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


@click.command()
@click.argument("kind", type=click.Choice(["need", "offer"]))
@click.option("--title", required=True, help="Title of the post.")
@click.option("--text", default="", help="Its description.")
@click.option("--text-language", type=click.Choice(LANGUAGES), help="Left out: it is guessed.")
def suggest(kind: str, title: str, text: str, text_language: str | None) -> None:
    """Suggest themes, areas, kinds of support, dimension and goals for a text.

    Each comes with its probability and the words that led to it.
    """
    from broker.sketch import Sketch
    from broker.suggestions import suggest_codes

    exchange = open_exchange()
    language = spoken_language()
    sketch = Sketch(kind, {"title": title, "description": text, "language": text_language}, 0)
    with exchange.reading() as session:
        hints = suggest_codes(exchange, session, sketch)
    for hint in hints:
        label = exchange.reference.label(hint.scheme, hint.code, language)
        words = f"  ({', '.join(hint.words)})" if hint.words else ""
        click.echo(f"{hint.probability:4.0%}  {hint.field:<14} {hint.code:<32} {label}{words}")
    if not hints:
        click.echo("Nothing to suggest: the text says too little, or there are too few posts.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
def evaluate(folder: Path, as_object: bool) -> None:
    """Rank a labelled FOLDER with the production engine and print how well it does.

    FOLDER holds needs.jsonl, offers.jsonl and qrels.tsv (docs/matching-quality.md).
    """
    from broker.labelled import evaluate_folder

    result, ignored = evaluate_folder(folder)
    for note in ignored:
        click.echo(note, err=True)
    if as_object:
        click.echo(json.dumps(result))
        return
    for name, value in result.items():
        click.echo(f"{name:<10} {value if isinstance(value, int) else format(value, '.4f')}")
