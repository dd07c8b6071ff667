"""Clearing rounds: read by those who moderate, conducted by the secretariat, answered by parties."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import selectinload

from broker.api.answers.rounds import (
    ProposalList,
    ProposalSaid,
    RoundSaid,
    RoundSlice,
    RoundVersionSaid,
    proposal,
    round_version,
)
from broker.api.answers.rounds import clearing_round as told
from broker.api.answers.values import listed
from broker.api.cursors import SliceQuery, slice_of
from broker.api.door import Door
from broker.clearing import (
    RoundSchema,
    RuleSchema,
    answer_proposal,
    change_round,
    clear_round,
    end_round,
    find_rounds,
    get_proposal,
    get_round,
    get_version,
    open_round,
    own_proposals,
    proposals_of,
    remove_rule,
    send_round,
    set_rule,
    settings_of,
)
from broker.schemas import AnswerSchema
from broker.web.access import MODERATORS, POSTERS, SECRETARIAT, SIGNED_IN, person
from broker.web.reading import database, exchange
from models import ClearingRound, Conflict, RoundRule, RoundStatus

doors = Door("api_rounds", __name__, description="Clearing rounds and what they propose")

ONE = "/rounds/<int:round_id>"
CONDUCTS = "secretariat"


@doors.opens("GET", "/rounds", roles=MODERATORS, query=SliceQuery, gives=RoundSlice)
def rounds(query: dict[str, Any]) -> Any:
    """List the clearing rounds, the latest first."""
    rules = selectinload(ClearingRound.rules)
    found = find_rounds(person()).options(
        rules.selectinload(RoundRule.need), rules.selectinload(RoundRule.offer)
    )
    rows, following = slice_of(database(), found, (ClearingRound.id.desc(),), query)
    return listed([told(row) for row in rows], following)


@doors.opens(
    "GET", ONE, roles=MODERATORS, gives=RoundSaid, versioned=True, endpoint="clearing_round"
)
def read(round_id: int) -> Any:
    """Read a round: its settings, its rules, and where it stands."""
    return told(get_round(database(), round_id, person()))


@doors.opens("GET", f"{ONE}/versions/<int:number>", roles=MODERATORS, gives=RoundVersionSaid)
def version(round_id: int, number: int) -> Any:
    """Read what was cleared and what came of it, with the digests that prove both."""
    found = get_version(get_round(database(), round_id, person()), number)
    assert found is not None  # noqa: S101 - a number was asked for
    return round_version(found)


@doors.opens("GET", f"{ONE}/proposals", roles=MODERATORS, gives=ProposalList)
def proposals(round_id: int) -> Any:
    """List what a round has proposed, and what was answered."""
    found = proposals_of(database(), get_round(database(), round_id, person()), person())
    return {"items": [proposal(one, person()) for one in found]}


@doors.opens(
    "POST", "/rounds", roles=SECRETARIAT, scope=CONDUCTS, takes=RoundSchema, as_sent=True,
    status=201, gives=RoundSaid, versioned=True, repeatable=True,
)  # fmt: skip
def begin(data: dict[str, Any]) -> Any:
    """Open a round."""
    return _told(open_round(database(), person(), data, exchange().reference))


def _told(found: ClearingRound) -> dict[str, Any]:
    database().flush()
    return told(found)


@doors.opens(
    "PATCH", ONE, roles=SECRETARIAT, scope=CONDUCTS, takes=RoundSchema, draft=True, as_sent=True,
    gives=RoundSaid, versioned=True, needs_version=True,
)  # fmt: skip
def change(round_id: int, data: dict[str, Any], revision: int | None) -> Any:
    """Change a round's settings; versions that are there keep theirs."""
    found = get_round(database(), round_id, person())
    if revision not in (None, found.revision):
        raise Conflict("changed_meanwhile")
    change_round(database(), person(), found, {**settings_of(found), **data}, exchange().reference)
    return _told(found)


@doors.opens(
    "POST", f"{ONE}/rules", roles=SECRETARIAT, scope=CONDUCTS, takes=RuleSchema, as_sent=True,
    status=201, gives=RoundSaid, versioned=True, repeatable=True,
)  # fmt: skip
def rule(round_id: int, data: dict[str, Any]) -> Any:
    """Require or rule out a pair, with the reason."""
    found = get_round(database(), round_id, person())
    set_rule(database(), person(), found, data, exchange().reference)
    return _told(found)


@doors.opens(
    "DELETE",
    f"{ONE}/rules/<int:rule_id>",
    roles=SECRETARIAT,
    scope=CONDUCTS,
    status=204,
    gives=None,
)
def drop_rule(round_id: int, rule_id: int) -> None:
    """Take a rule off."""
    remove_rule(database(), person(), get_round(database(), round_id, person()), rule_id)


@doors.opens(
    "POST", f"{ONE}/clear", roles=SECRETARIAT, scope=CONDUCTS, status=201, gives=RoundVersionSaid,
    repeatable=True,
)  # fmt: skip
def clear(round_id: int) -> Any:
    """Work out who would get what; nothing is committed."""
    found = get_round(database(), round_id, person())
    made = clear_round(exchange(), database(), person(), found)
    database().flush()
    return round_version(made)


@doors.opens("POST", f"{ONE}/send", roles=SECRETARIAT, scope=CONDUCTS, gives=ProposalList)
def send(round_id: int) -> Any:
    """Propose the latest version's new pairs to both sides of each."""
    found = get_round(database(), round_id, person())
    send_round(database(), person(), found)
    database().flush()
    return {"items": [proposal(one, person()) for one in proposals_of(database(), found, person())]}


@doors.opens("POST", f"{ONE}/close", roles=SECRETARIAT, scope=CONDUCTS, gives=RoundSaid,
             versioned=True)  # fmt: skip
def close(round_id: int) -> Any:
    """Close a round; what both sides have accepted stays with them."""
    return _end(round_id, RoundStatus.CLOSED)


@doors.opens("POST", f"{ONE}/cancel", roles=SECRETARIAT, scope=CONDUCTS, gives=RoundSaid,
             versioned=True)  # fmt: skip
def cancel(round_id: int) -> Any:
    """Cancel a round; what both sides have accepted stays with them."""
    return _end(round_id, RoundStatus.CANCELLED)


def _end(round_id: int, status: RoundStatus) -> dict[str, Any]:
    found = get_round(database(), round_id, person())
    end_round(database(), person(), found, status)
    return _told(found)


@doors.opens("GET", "/proposals", roles=POSTERS, gives=ProposalList, endpoint="own_proposals")
def own() -> Any:
    """List what rounds have proposed to one's organisation, what waits first."""
    found = database().scalars(own_proposals(person()).limit(500))
    return {"items": [proposal(one, person()) for one in found]}


@doors.opens("GET", "/proposals/<int:proposal_id>", roles=SIGNED_IN, gives=ProposalSaid,
             endpoint="proposal")  # fmt: skip
def read_proposal(proposal_id: int) -> Any:
    """Read one proposal and its answers."""
    return proposal(get_proposal(database(), proposal_id, person()), person())


@doors.opens(
    "POST", "/proposals/<int:proposal_id>/answer", roles=POSTERS, scope="write:matches",
    takes=AnswerSchema, gives=ProposalSaid, endpoint="answer_proposal",
)  # fmt: skip
def answer(proposal_id: int, data: dict[str, Any]) -> Any:
    """Accept or decline a proposal for one's side."""
    found = get_proposal(database(), proposal_id, person())
    answer_proposal(database(), person(), found, **data)
    database().flush()
    return proposal(found, person())
