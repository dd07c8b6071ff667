"""Use cases of a clearing round: open, clear, send, answer, clear again, close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext as _l
from marshmallow import fields, validate
from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.clearing_money import Promised, lay_out_money, read_budgets, read_grant
from broker.clearing_sheet import FLOORS, POLICIES, Pairs, demand_of, digest, lay_out, work_out
from broker.conflicts import require_no_conflict, require_no_conflict_among
from broker.exchange import Exchange
from broker.jobs import Work, job
from broker.news import tell_of_proposal_answer, tell_of_proposals
from broker.posts import expire_posts, seals_money
from broker.reference import Reference
from broker.schemas import Code, Count, Strict, Text, load
from matching import Book, NeedProfile, complete
from models import (
    FINANCE,
    FORBIDDEN,
    FORCED,
    IN_FORCE,
    LIVE,
    Agreement,
    AgreementStatus,
    ClearingRound,
    Conflict,
    InvalidInput,
    Match,
    MatchStatus,
    Need,
    NeedPool,
    NotAllowed,
    NotFound,
    Offer,
    PoolMember,
    PoolStatus,
    Post,
    ProposalStatus,
    RoundProposal,
    RoundRule,
    RoundStatus,
    RoundVersion,
    User,
    utc_now,
)

SCOPE = ("subregion", "theme", "support_kind")
"""Facets by which the needs of a round can be narrowed."""


class RoundSchema(Strict):
    """What a round clears, and how."""

    name = Text(120, required=True)
    policy = fields.String(required=True, validate=validate.OneOf(POLICIES))
    subregion = Code("subregion", allow_none=True, load_default=None)
    theme = Code("theme", allow_none=True, load_default=None)
    support_kind = Code("support_kind", allow_none=True, load_default=None)
    small_island = Count(least=0, load_default=None)
    least_developed = Count(least=0, load_default=None)


class RuleSchema(Strict):
    """A pair that a round requires or rules out, by the posts' references."""

    kind = fields.String(required=True, validate=validate.OneOf((FORCED, FORBIDDEN)))
    need = Text(80, required=True)
    offer = Text(80, required=True)
    reason = Text(2000, required=True)


def find_rounds(by: User) -> Select[ClearingRound]:
    """The rounds that the person may look at, the latest first."""
    query = (
        select(ClearingRound)
        .options(selectinload(ClearingRound.versions), selectinload(ClearingRound.proposals))
        .order_by(ClearingRound.id.desc())
    )
    if by.is_secretariat:
        return query
    subregion = ClearingRound.scope["subregion"].as_string()
    return query.where(or_(subregion.is_(None), subregion == by.subregion))


def get_round(session: Session, round_id: int, by: User) -> ClearingRound:
    """A round by its number; raises :class:`models.errors.NotFound`, also for others' rounds."""
    found = session.get(ClearingRound, round_id)
    if found is None or not found.can_be_seen_by(by):
        raise NotFound("no_such_round")
    return found


def get_version(found: ClearingRound, number: int | None) -> RoundVersion | None:
    """A version of a round by its number; the latest without one, None before the first.

    Raises
    ------
    NotFound
        ``no_such_version``.
    """
    if number is None:
        return found.latest
    for version in found.versions:
        if version.number == number:
            return version
    raise NotFound("no_such_version")


def _require_secretariat(by: User) -> None:
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")


def _settings(data: Mapping[str, Any], reference: Reference) -> dict[str, Any]:
    values = load(RoundSchema, data, reference)
    if values["support_kind"] and values["support_kind"] not in reference.kinds():
        raise InvalidInput({"support_kind": [("unknown_code", {"code": values["support_kind"]})]})
    return {
        "name": values["name"],
        "policy": values["policy"],
        "scope": {name: values[name] for name in SCOPE if values[name]},
        "floors": {name: values[name] for name in FLOORS if values[name]},
    }


def settings_of(found: ClearingRound) -> dict[str, Any]:
    """A round's settings in the shape of their input schema."""
    return {"name": found.name, "policy": found.policy, **found.scope, **found.floors}


def open_round(
    session: Session, by: User, data: Mapping[str, Any], reference: Reference
) -> ClearingRound:
    """Begin a round.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    InvalidInput
        For settings that are missing or wrong.
    """
    _require_secretariat(by)
    settings = _settings(data, reference)
    found = ClearingRound(**settings, by=by, status=RoundStatus.OPEN)
    session.add(found)
    record(session, by, "round.opened", found, after=settings)
    return found


def change_round(
    session: Session, by: User, found: ClearingRound, data: Mapping[str, Any], reference: Reference
) -> None:
    """Change a round's settings; versions that are there keep theirs."""
    _require_secretariat(by)
    found.require_running()
    before = {n: getattr(found, n) for n in ("name", "policy", "scope", "floors")}
    settings = _settings(data, reference)
    for name, value in settings.items():
        setattr(found, name, value)
    record(session, by, "round.changed", found, before=before, after=settings)


def set_rule(
    session: Session, by: User, found: ClearingRound, data: Mapping[str, Any], reference: Reference
) -> RoundRule:
    """Require or rule out a pair, with the reason.

    Raises
    ------
    InvalidInput
        If a post is not on the exchange under that reference, or the reason is missing.
    Conflict
        If the pair has a rule already.
    """
    _require_secretariat(by)
    values = load(RuleSchema, data, reference)
    need = _live(session, Need, values["need"], "need")
    offer = _live(session, Offer, values["offer"], "offer")
    require_no_conflict(session, by, need, offer, own=True)
    rule = found.set_rule(values["kind"], need, offer, values["reason"], by)
    after = {"rule": rule.kind, "need": need.reference, "offer": offer.reference}
    record(session, by, "round.rule_set", found, after={**after, "reason": rule.reason})
    return rule


def _live(session: Session, model: type[Any], reference: str, field: str) -> Any:
    post = session.scalar(
        select(model).where(model.reference == reference.lower(), model.status.in_(LIVE))
    )
    if post is None:
        raise InvalidInput({field: [("no_live_post", {"reference": reference[:80]})]})
    return post


def remove_rule(session: Session, by: User, found: ClearingRound, rule_id: int) -> None:
    """Take a rule off a round."""
    _require_secretariat(by)
    found.require_running()
    rule = next((rule for rule in found.rules if rule.id == rule_id), None)
    if rule is None:
        raise NotFound("no_such_rule")
    require_no_conflict(session, by, rule.need, rule.offer, own=True)
    before = {"rule": rule.kind, "need": rule.need.reference, "offer": rule.offer.reference}
    found.rules.remove(rule)
    record(session, by, "round.rule_removed", found, before=before)


def clear_round(
    exchange: Exchange, session: Session, by: User, found: ClearingRound
) -> RoundVersion:
    """Work out who would get what, and keep it as a new version; nothing is committed.

    Once the round is sent, proposals that nobody has declined stand as they are, and those that
    were declined, or whose post has left the exchange, are not proposed again.

    Raises
    ------
    Conflict
        If the round has ended, or its rules cannot hold together; the posts are named.
    """
    given = _prepare(exchange, session, by, found)
    return _keep(session, by, found, given, work_out(given))


def _prepare(
    exchange: Exchange, session: Session, by: User, found: ClearingRound
) -> dict[str, Any]:
    """Everything that the clearing depends on, as it is now."""
    _require_secretariat(by)
    found.require_running()
    expire_posts(session, today=exchange.today())
    session.flush()
    _let_lapse(session, by, found)
    with exchange.engine.open(session) as book:
        given = _sheet(exchange, session, found, book)
    taking_part = [post["id"] for side in ("needs", "offers") for post in given[side]]
    require_no_conflict_among(session, by, taking_part)
    return given


def _keep(
    session: Session,
    by: User,
    found: ClearingRound,
    given: dict[str, Any],
    result: dict[str, Any],
) -> RoundVersion:
    version = found.keep(given, result, (digest(given), digest(result)), by)
    record(session, by, "round.cleared", found, after={"version": version.number})
    return version


LARGE = 250
"""From so many needs on the exchange a round is cleared in the background."""


def is_large(session: Session) -> bool:
    """Whether a clearing may take longer than a reader waits for a page."""
    live = select(func.count()).select_from(Need).where(Need.status.in_(LIVE))
    return (session.scalar(live) or 0) >= LARGE


@job("clear_round", name=_l("Clear a round"), page="clearing.show")
def clear_in_background(
    exchange: Exchange, work: Work, *, round_id: int, by_id: int
) -> dict[str, Any]:
    """Clear a round as a job; its result leads to the round's page.

    Nobody waits for the database while it is worked out: the sheet says all that it depends on.
    """
    with exchange.writing() as session:
        by, found = session.get_one(User, by_id), session.get_one(ClearingRound, round_id)
        given = _prepare(exchange, session, by, found)
    work.progress(1, 3)
    result = work_out(given)
    work.progress(2, 3)
    with exchange.writing() as session:
        by, found = session.get_one(User, by_id), session.get_one(ClearingRound, round_id)
        version = _keep(session, by, found, given, result)
        return {"page": {"round_id": round_id}, "version": version.number}


def _let_lapse(session: Session, by: User, found: ClearingRound) -> None:
    for proposal in found.proposals:
        gone = [post for post in (proposal.need, proposal.offer) if not post.is_live]
        if gone and proposal.lapse():
            left = ", ".join(post.reference for post in gone)
            record(session, by, "proposal.lapsed", proposal, after={"left_the_exchange": left})


def _sheet(
    exchange: Exchange, session: Session, found: ClearingRound, book: Book
) -> dict[str, Any]:
    on = exchange.today()
    run = complete(book.plan(exchange.settings.matches_per_need, on=on))
    pooled = _pooled_needs(session)
    reference = exchange.reference
    needs = [n for n in book.needs if _in_scope(n, found.scope, reference) and n.id not in pooled]
    offers = book.offers
    here = {n.id for n in needs}, {o.id for o in offers}

    def both(need_id: int, offer_id: int) -> bool:
        return need_id in here[0] and offer_id in here[1]

    scored = {
        (need, offer): micro / 1_000_000
        for need, offer, micro in zip(
            run.matches.need_ids.tolist(),
            run.matches.offer_ids.tolist(),
            run.matches.scores.tolist(),
            strict=True,
        )
        if both(need, offer)
    }
    signed = _pairs_with_agreement(session)
    # What the parties have been asked is theirs to decide: a requirement ends where they answer.
    settled = signed | {(p.need_id, p.offer_id) for p in found.proposals}
    forced = [
        rule
        for rule in found.rules
        if rule.kind == FORCED and (rule.need_id, rule.offer_id) not in settled
    ]
    for rule in forced:
        scored.setdefault((rule.need_id, rule.offer_id), _score_forced(rule, book, on, both))
    forbidden = {(r.need_id, r.offer_id) for r in found.rules if r.kind == FORBIDDEN}
    forbidden |= {pair for pair in signed if both(*pair)}
    fixed: list[tuple[int, int, str, int]] = []
    promised: list[Promised] = []
    only = found.scope.get("support_kind")
    for proposal in found.proposals:
        pair = (proposal.need_id, proposal.offer_id)
        if not both(*pair):
            continue
        if proposal.status in (ProposalStatus.DECLINED, ProposalStatus.LAPSED):
            forbidden.add(pair)
        elif pair not in signed:
            scored[pair] = proposal.score
            # A kind that is no longer asked for, given or cleared here is outside this clearing.
            wanted = demand_of(book.need(pair[0]), only)
            kinds = wanted.keys() & book.offer(pair[1]).support_kinds
            fixed += [(*pair, kind, n) for kind, n in proposal.parts.items() if kind in kinds]
            if proposal.money and proposal.currency and FINANCE in kinds:
                promised.append(Promised(*pair, proposal.money, proposal.currency))
    money = None
    if only in (None, FINANCE):
        budgets = read_budgets(session, needs, offers)
        money = lay_out_money(needs, offers, budgets, promised, reference)
    in_money = {needs[row["need"]].id for row in money["needs"]} if money else set()
    # Of a need that has come to state an amount, a grant counted as a place stands no longer.
    fixed = [part for part in fixed if part[2] != FINANCE or part[0] not in in_money]
    return lay_out(
        needs,
        offers,
        Pairs(
            [(*pair, points) for pair, points in scored.items()],
            [(r.need_id, r.offer_id) for r in forced],
            [pair for pair in forbidden if both(*pair)],
            fixed,
        ),
        reference,
        policy=found.policy,
        floors=found.floors,
        only=only,
        money=money,
        made_with={
            "day": on.isoformat(),
            "engine": run.versions.engine,
            "weights": run.versions.weights,
            "text": run.versions.text,
            "scores": run.versions.digest,
        },
    )


def _in_scope(need: NeedProfile, scope: Mapping[str, str], reference: Reference) -> bool:
    subregion = reference.subregion_of(need.country) or need.subregion
    return (
        scope.get("theme") in (None, *need.themes)
        and scope.get("support_kind") in (None, *need.support_kinds)
        and scope.get("subregion") in (None, subregion)
    )


def _score_forced(rule: RoundRule, book: Book, on: Any, both: Any) -> float:
    """The score of a pair that must be; what was no match may still be eligible."""
    names = {"need": rule.need.reference, "offer": rule.offer.reference}
    if not both(rule.need_id, rule.offer_id):
        raise Conflict("forced_pair_left", **names)
    explanation = book.explain(rule.need_id, rule.offer_id, on=on)
    if explanation.failures:
        raise Conflict("forced_pair_not_eligible", **names)
    return float(explanation.points)


def _pairs_with_agreement(session: Session) -> set[tuple[int, int]]:
    """Pairs that work together already: the ledger has taken their places."""
    rows = session.execute(
        select(Agreement.need_id, Agreement.offer_id).where(
            Agreement.status.in_(IN_FORCE | {AgreementStatus.COMPLETED})
        )
    )
    return {(need_id, offer_id) for need_id, offer_id in rows}


def _pooled_needs(session: Session) -> set[int]:
    """Needs that a regional need on the exchange stands for: they would be counted twice."""
    return set(
        session.scalars(
            select(PoolMember.need_id)
            .join(NeedPool, NeedPool.id == PoolMember.pool_id)
            .join(Post, Post.id == NeedPool.need_id)
            .where(NeedPool.status == PoolStatus.AGREED, Post.status.in_(LIVE))
        )
    )


def replay(version: RoundVersion) -> bool:
    """Work a version out again from what was kept, and tell whether the same comes of it."""
    return (
        digest(version.given) == version.given_digest
        and digest(work_out(version.given)) == version.result_digest
    )


@dataclass
class Share:
    """What a version gives to a need from an offer: places of each kind, and a grant."""

    parts: dict[str, int] = field(default_factory=dict)
    grant: dict[str, Any] = field(default_factory=dict)


def new_pairs(found: ClearingRound) -> dict[tuple[int, int], Share]:
    """``(need_id, offer_id)`` → its share, of the latest version's pairs not yet proposed."""
    if found.latest is None:
        return {}
    proposed = {(proposal.need_id, proposal.offer_id) for proposal in found.proposals}
    pairs: dict[tuple[int, int], Share] = {}
    given, result = found.latest.given, found.latest.result

    def share(need: int, offer: int) -> Share:
        pair = (given["needs"][need]["id"], given["offers"][offer]["id"])
        return Share() if pair in proposed else pairs.setdefault(pair, Share())

    for need, kind, offer, places in result["flow"]:
        share(need, offer).parts[kind] = places
    for need, offer, *row in result.get("money", {}).get("grants", ()):
        grant = read_grant(row)
        share(need, offer).grant = {
            "money": grant.money,
            "currency": grant.currency,
            "need_money": grant.need_money,
            "need_currency": grant.need_currency,
            "rate": grant.rate,
            "rate_date": grant.rate_date,
            "rate_source": grant.rate_source,
        }
    return pairs


def send_round(session: Session, by: User, found: ClearingRound) -> list[RoundProposal]:
    """Propose the latest version's new pairs to both sides of each.

    Raises
    ------
    Conflict
        If nothing was cleared, nothing is new, or a post has left the exchange since.
    """
    _require_secretariat(by)
    found.require_running()
    if found.status == RoundStatus.OPEN:
        found.send()
    pairs = new_pairs(found)
    if not pairs:
        raise Conflict("nothing_to_propose", name=found.name)
    require_no_conflict_among(session, by, {post_id for pair in pairs for post_id in pair})
    _require_still_live(session, pairs)
    version = found.latest
    assert version is not None  # noqa: S101 - `new_pairs` found pairs in it
    scores = {
        (version.given["needs"][n]["id"], version.given["offers"][o]["id"]): points
        for n, o, points in version.given["scores"]
    }
    made = [
        RoundProposal(
            round=found,
            need_id=need_id,
            offer_id=offer_id,
            number=version.number,
            parts=share.parts,
            places=sum(share.parts.values()),
            **share.grant,
            score=scores[need_id, offer_id],
            status=ProposalStatus.WAITING,
        )
        for (need_id, offer_id), share in pairs.items()
    ]
    session.add_all(made)
    after = {"version": version.number, "proposals": len(made)}
    record(session, by, "round.sent", found, after=after)
    tell_of_proposals(session, by, made)
    return made


def _require_still_live(session: Session, pairs: Mapping[tuple[int, int], Any]) -> None:
    ids = sorted({post_id for pair in pairs for post_id in pair})
    gone: list[str] = []
    for start in range(0, len(ids), 500):
        gone += session.scalars(
            select(Post.reference).where(
                Post.id.in_(ids[start : start + 500]), Post.status.not_in(LIVE)
            )
        )
    if gone:
        raise Conflict("round_out_of_date", posts=sorted(gone))


def end_round(session: Session, by: User, found: ClearingRound, status: RoundStatus) -> None:
    """Close or cancel a round; what both sides have accepted stays with them."""
    _require_secretariat(by)
    before = {"status": str(found.status)}
    found.end(status)
    record(
        session,
        by,
        "round.closed" if status == RoundStatus.CLOSED else "round.cancelled",
        found,
        before=before,
        after={"status": str(status)},
    )


def get_proposal(session: Session, proposal_id: int, by: User) -> RoundProposal:
    """A proposal that the person may see: of one's own organisation, or as the secretariat.

    Raises
    ------
    NotFound
        ``no_such_proposal``.
    """
    proposal = session.get(RoundProposal, proposal_id)
    if proposal is None or not (proposal.side_of(by) or by.moderates(proposal.need.subregions())):
        raise NotFound("no_such_proposal")
    return proposal


def seals_grant(proposal: RoundProposal, by: User) -> bool:
    """Whether the amount of a proposal is kept from this reader: it would tell a sealed one."""
    return seals_money(proposal.need, by) or seals_money(proposal.offer, by)


def answer_proposal(
    session: Session,
    by: User,
    proposal: RoundProposal,
    *,
    accept: bool,
    reason: str | None = None,
    message: str = "",
) -> None:
    """Accept or decline for one's side; once both accept, the match is mutual.

    Nothing is committed by it: the two sides agree on terms and sign, as with any match.

    Raises
    ------
    NotAllowed, Conflict, InvalidInput
        See :meth:`models.clearing.RoundProposal.answer`.
    """
    require_no_conflict(session, by, proposal.need, proposal.offer)
    proposal.answer(by, accept, reason, message)
    if proposal.status == ProposalStatus.ACCEPTED:
        first, second = (answer.by for answer in proposal.answers)
        match = _match_of(session, proposal)
        before = str(match.status)
        match.join(first, second)
        match.updated_at = utc_now()
        record(
            session,
            by,
            "match.joined",
            match,
            before={"status": before},
            after={"status": str(match.status), "round": proposal.round.name},
        )
    record(
        session,
        by,
        "proposal.accepted" if accept else "proposal.declined",
        proposal,
        after={"status": str(proposal.status), "side": proposal.side_of(by), "reason": reason},
    )
    tell_of_proposal_answer(session, by, proposal)


def _match_of(session: Session, proposal: RoundProposal) -> Match:
    match = session.scalar(
        select(Match)
        .where(Match.need_id == proposal.need_id, Match.offer_id == proposal.offer_id)
        .options(selectinload(Match.interests))
    )
    if match is None:
        match = Match(
            need=proposal.need,
            offer=proposal.offer,
            status=MatchStatus.SUGGESTED,
            score=proposal.score,
        )
        session.add(match)
    return match


PROPOSED = (
    selectinload(RoundProposal.round),
    selectinload(RoundProposal.need).selectinload(Need.organisation),
    selectinload(RoundProposal.offer).selectinload(Offer.organisation),
    selectinload(RoundProposal.answers),
)
"""What a list of proposals shows."""


def waiting_proposals(session: Session, by: User) -> list[RoundProposal]:
    """Proposals that wait for the person's side, oldest first."""
    own = select(Post.id).where(Post.organisation_id == by.organisation_id)
    found = session.scalars(
        select(RoundProposal)
        .where(RoundProposal.status == ProposalStatus.WAITING)
        .where(RoundProposal.need_id.in_(own) | RoundProposal.offer_id.in_(own))
        .options(*PROPOSED)
        .order_by(RoundProposal.id)
    )
    return [proposal for proposal in found if proposal.waits_for(by)]


def own_proposals(by: User) -> Select[RoundProposal]:
    """A query for all that rounds have proposed to the person's organisation; what waits first."""
    own = select(Post.id).where(Post.organisation_id == by.organisation_id)
    return (
        select(RoundProposal)
        .where(RoundProposal.need_id.in_(own) | RoundProposal.offer_id.in_(own))
        .options(*PROPOSED)
        .order_by(RoundProposal.status != ProposalStatus.WAITING, RoundProposal.id)
    )


def proposals_of(session: Session, found: ClearingRound, by: User) -> list[RoundProposal]:
    """A round's proposals with what both sides said; those of her subregion for a coordinator."""
    proposals = session.scalars(
        select(RoundProposal)
        .where(RoundProposal.round_id == found.id)
        .options(*PROPOSED, selectinload(RoundProposal.need).selectinload(Need.country))
        .order_by(RoundProposal.id)
    )
    return [proposal for proposal in proposals if by.moderates(proposal.need.subregions())]
