"""The finder of pilot partners, and invitations: also to those who have posted nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, selectinload

from broker.accounts import organisations_behind
from broker.audit import record
from broker.conflicts import require_no_conflict
from broker.exchange import Exchange
from broker.news import tell_of_invitation
from broker.reference import Reference
from broker.schemas import Code, Strict, Text, load
from broker.task_forces import PILOT_MODALITY, get_task_force, require_partner_seeker
from matching.partners import Candidate, Fact, Partner, closeness, rank_partners
from models import (
    COVERING,
    IN_FORCE,
    LIVE,
    PUBLICLY_READABLE,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Conflict,
    Country,
    InvalidInput,
    InvitationStatus,
    Need,
    NotAllowed,
    NotFound,
    Offer,
    Organisation,
    PilotInvitation,
    Post,
    PostFacet,
    Support,
    TaskForce,
    User,
)

PLAN_SETS = {"peru": "PE", "panama": "PA"}
"""Set of mandates that is a country's own action plan → the country."""

KINDS = ("country", "institution")

NO_HOSTS = (
    "task_force", "un_body", "cooperation_agency", "development_bank", "other_donor",
)  # fmt: skip
"""Kinds of organisation that support pilots rather than host them."""

NEEDS: Any = Need.__table__
"""The columns that needs alone have, beside a query for posts of both kinds."""


@dataclass(frozen=True)
class PartnerFilter:
    """What the finder looks for; every field is a parameter of its address."""

    themes: tuple[str, ...] = ()
    subregion: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """Where a fact stands: a post, an agreement, a line of a plan, or the task force's own list."""

    kind: str
    id: int | str
    title: str = ""
    detail: str = ""
    role: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundPartner:
    """A ranked candidate with what its page and its line in the list show.

    Attributes
    ----------
    organisation : Organisation or None
        The institution; a country's focal point, if the exchange has one.
    rows : dict
        Name of a contribution → the rows that it comes from.
    invited : PilotInvitation or None
        The task force's invitation on one of the themes looked for, if it has been made.
    """

    partner: Partner
    country: str
    organisation: Organisation | None
    rows: dict[str, list[Row]]
    invited: PilotInvitation | None = None

    @property
    def code(self) -> str:
        """A country's code, or an institution's."""
        return self.partner.candidate.code


@dataclass
class _Facts:
    """Facts and rows as they are gathered, by the organisation or country that they speak for."""

    of_country: dict[str, list[Fact]] = field(default_factory=dict)
    of_organisation: dict[int, list[Fact]] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    def add(
        self, fact: Fact, row: Row, country: str | None, organisation: int | None = None
    ) -> None:
        self.rows[fact.key] = row
        if country:
            _once(self.of_country.setdefault(country, []), fact)
        if organisation is not None:
            _once(self.of_organisation.setdefault(organisation, []), fact)


def _once(facts: list[Fact], fact: Fact) -> None:
    if fact not in facts:
        facts.append(fact)


def find_partners(
    exchange: Exchange,
    session: Session,
    by: User,
    force: TaskForce,
    filters: PartnerFilter,
) -> list[FoundPartner]:
    """Countries and institutions of the region for a pilot of those themes, best first.

    Every country is in the list; an institution is where something speaks for it.

    Parameters
    ----------
    filters : PartnerFilter
        Without themes, those of the task force.

    Raises
    ------
    NotAllowed
        ``look_for_partners`` for anybody but its officers and the moderators.
    """
    require_partner_seeker(by, force)
    reference = exchange.reference
    themes = filters.themes or tuple(force.themes)
    terms = exchange.engine.taxonomy.themes
    near = {code for code in reference.codes("theme") if closeness([code], themes, terms)}
    facts = _Facts()
    organisations = _organisations(session)
    homes = _homes(session, reference)
    _add_memberships(session, facts, force, themes)
    _add_posts(session, facts, near)
    _add_mandates(session, facts, reference, near)
    _add_plans(facts, reference, near)
    _add_agreements(session, facts, near)
    served = _served(session)
    institutions = {
        number: one
        for number, one in organisations.items()
        if number not in {home.id for home in homes.values()}
    }
    candidates = _candidates(facts, reference, institutions, served, filters)
    ranked = rank_partners(candidates, themes, terms)
    invited = _invited(session, force, themes)
    by_code = {one.code: one for one in institutions.values()}
    found = []
    for partner in ranked:
        candidate = partner.candidate
        is_country = candidate.kind == "country"
        organisation = homes.get(candidate.code) if is_country else by_code[candidate.code]
        found.append(
            FoundPartner(
                partner=partner,
                country=candidate.country,
                organisation=organisation,
                rows={
                    part.name: [facts.rows[fact.key] for fact in part.facts]
                    for part in partner.reasons
                },
                invited=invited.get(organisation.id) if organisation else None,
            )
        )
    return found


def get_partner(
    exchange: Exchange,
    session: Session,
    by: User,
    force: TaskForce,
    kind: str,
    code: str,
    themes: tuple[str, ...],
) -> FoundPartner:
    """One candidate with its rows; raises :class:`models.errors.NotFound`."""
    filters = PartnerFilter(themes=themes, kind=kind)
    for found in find_partners(exchange, session, by, force, filters):
        if found.code == code:
            return found
    raise NotFound("no_such_organisation", code=code)


def _homes(session: Session, reference: Reference) -> dict[str, Organisation]:
    """Country → the organisation that is its focal point; what it was merged into, if it was."""
    codes = {f"gov-{code.lower()}": code for code in reference.codes("region_country")}
    return {codes[code]: one for code, one in organisations_behind(session, codes).items()}


def _organisations(session: Session) -> dict[int, Organisation]:
    """Organisations of the region's countries that could host a pilot, by number."""
    found = session.scalars(
        select(Organisation)
        .join(Country, Organisation.country_code == Country.code)
        .where(
            Country.subregion.is_not(None),
            Organisation.kind.not_in(NO_HOSTS),
            Organisation.merged_into_id.is_(None),
        )
    )
    return {organisation.id: organisation for organisation in found}


def _add_memberships(
    session: Session, facts: _Facts, force: TaskForce, themes: Sequence[str]
) -> None:
    """Members take part in all that the task force does: they count for any theme looked for."""
    roles: dict[str, dict[str, str]] = {code: {} for code in force.member_codes()}
    for member in force.region_members:
        code = member.get("organisation") or member.get("country")
        if code:
            roles[code] = member.get("role") or {}
    organisations = organisations_behind(session, roles)
    for code in sorted(roles):
        named = organisations.get(code)
        country = named.country_code if named else code
        fact = Fact("membership", f"member-{code}", frozenset(themes))
        row = Row("member", code, role=roles[code])
        facts.add(fact, row, country, named.id if named else None)


def _add_posts(session: Session, facts: _Facts, near: Iterable[str]) -> None:
    posts = session.execute(
        select(
            Post.id, Post.kind, Post.title, Post.reference, Post.organisation_id,
            func.coalesce(NEEDS.c.country_code, Organisation.country_code), PostFacet.code,
        )
        .join(PostFacet, PostFacet.post_id == Post.id)
        .join(Organisation, Post.organisation_id == Organisation.id)
        .outerjoin(NEEDS, NEEDS.c.id == Post.id)
        .where(
            Post.status.in_(PUBLICLY_READABLE),
            PostFacet.facet == "theme",
            PostFacet.code.in_(near),
        )
        .order_by(Post.id)
    ).all()  # fmt: skip
    themes: dict[int, set[str]] = {}
    for post_id, *_rest, theme in posts:
        themes.setdefault(post_id, set()).add(theme)
    for post_id, kind, title, reference, organisation, country, _theme in posts:
        fact = Fact("posts", f"post-{post_id}", frozenset(themes[post_id]))
        facts.add(fact, Row(kind, post_id, title, reference), country, organisation)


def _add_mandates(session: Session, facts: _Facts, reference: Reference, near: set[str]) -> None:
    """Lines of plans and decisions on the themes, that somebody's posts have cited."""
    mandates = reference.terms.get("mandate", {})
    themes = {
        code: frozenset(near & set(term.extra.get("themes") or ()))
        for code, term in mandates.items()
    }
    wanted = [code for code, found in themes.items() if found]
    cited = session.execute(
        select(
            PostFacet.code, Post.id, Post.kind, Post.title, Post.organisation_id,
            func.coalesce(NEEDS.c.country_code, Organisation.country_code),
        )
        .join(Post, PostFacet.post_id == Post.id)
        .join(Organisation, Post.organisation_id == Organisation.id)
        .outerjoin(NEEDS, NEEDS.c.id == Post.id)
        .where(
            Post.status.in_(PUBLICLY_READABLE),
            PostFacet.facet == "mandate",
            PostFacet.code.in_(wanted),
        )
        .order_by(Post.id, PostFacet.code)
    )  # fmt: skip
    for mandate, post_id, kind, title, organisation, country in cited:
        fact = Fact("mandates", f"mandate-{mandate}-{post_id}", themes[mandate])
        facts.add(fact, Row(kind, post_id, title, mandate), country, organisation)


def _add_plans(facts: _Facts, reference: Reference, near: set[str]) -> None:
    """Lines on the themes in a country's own strategy or action plan."""
    for code, term in reference.terms.get("mandate", {}).items():
        country = PLAN_SETS.get(term.extra.get("source_set", ""))
        themes = near & set(term.extra.get("themes") or ())
        if country and themes:
            facts.add(Fact("plan", f"plan-{code}", frozenset(themes)), Row("plan", code), country)


def _add_agreements(session: Session, facts: _Facts, near: Iterable[str]) -> None:
    """Agreements on the themes in which somebody took part; those on a pilot count as one too."""
    pilots = select(Support.post_id).where(Support.modality == PILOT_MODALITY)
    took_part = session.execute(
        select(
            Agreement.id, Agreement.reference, AgreementParty.organisation_id,
            Organisation.country_code, PostFacet.code,
            or_(Offer.pilot_hosted.is_(True), Agreement.offer_id.in_(pilots)),
        )
        .join(AgreementParty, AgreementParty.agreement_id == Agreement.id)
        .join(Organisation, AgreementParty.organisation_id == Organisation.id)
        .join(Offer, Agreement.offer_id == Offer.id)
        .join(
            PostFacet,
            or_(PostFacet.post_id == Agreement.need_id, PostFacet.post_id == Agreement.offer_id),
        )
        .where(
            Agreement.status.in_(COVERING),
            PostFacet.facet == "theme",
            PostFacet.code.in_(near),
        )
        .order_by(Agreement.id)
    ).all()  # fmt: skip
    themes: dict[int, set[str]] = {}
    for agreement, *_rest, theme, _pilot in took_part:
        themes.setdefault(agreement, set()).add(theme)
    for agreement, reference, organisation, country, _theme, pilot in took_part:
        row = Row("agreement", agreement, reference)
        about = frozenset(themes[agreement])
        facts.add(Fact("agreements", f"agreement-{agreement}", about), row, country, organisation)
        if pilot:
            facts.add(Fact("pilots", f"pilot-{agreement}", about), row, country, organisation)


def _served(session: Session) -> dict[str, int]:
    """Country → agreements in force or completed that serve it."""
    rows = session.execute(
        select(Need.country_code, func.count(Agreement.id))
        .join(Need, Agreement.need_id == Need.id)
        .where(
            Agreement.status.in_(IN_FORCE | {AgreementStatus.COMPLETED}),
            Need.country_code.is_not(None),
        )
        .group_by(Need.country_code)
    )
    return {country: number for country, number in rows if country}


def _candidates(
    facts: _Facts,
    reference: Reference,
    organisations: Mapping[int, Organisation],
    served: Mapping[str, int],
    filters: PartnerFilter,
) -> list[Candidate]:
    def within(country: str | None) -> bool:
        subregion = reference.subregion_of(country)
        return subregion is not None and filters.subregion in ("", subregion)

    found: list[Candidate] = []
    if filters.kind != "institution":
        found += [
            Candidate(
                code, "country", code, tuple(facts.of_country.get(code, ())), served.get(code, 0)
            )
            for code in reference.codes("region_country")
            if within(code)
        ]
    if filters.kind != "country":
        found += [
            Candidate(
                o.code, "institution", o.country_code or "",
                tuple(facts.of_organisation[o.id]), served.get(o.country_code or "", 0),
            )
            for o in organisations.values()
            if o.id in facts.of_organisation
            and within(o.country_code)
        ]  # fmt: skip
    return found


def _invited(
    session: Session, force: TaskForce, themes: Sequence[str]
) -> dict[int, PilotInvitation]:
    found = session.scalars(
        select(PilotInvitation)
        .where(
            PilotInvitation.task_force_id == force.organisation_id,
            PilotInvitation.theme.in_(themes),
        )
        .order_by(PilotInvitation.id)
    )
    return {invitation.organisation_id: invitation for invitation in found}


class InvitationSchema(Strict):
    """An invitation to a pilot: to a country or an institution, on one theme."""

    organisation = Text(64, required=True)
    theme = Code("theme", required=True)
    offer = Text(80, load_default="")
    message = Text(4000, required=True)


class InvitationAnswerSchema(Strict):
    """What the invited organisation says."""

    message = Text(4000, load_default="")


def invite_partner(
    session: Session,
    by: User,
    force: TaskForce,
    data: Mapping[str, Any],
    reference: Reference,
) -> PilotInvitation:
    """Invite an organisation to a pilot, whether it has posted anything or not.

    Raises
    ------
    NotAllowed
        For anybody but the task force's officers and the moderators, and with a conflict of
        interest.
    InvalidInput
        If the message, the organisation or the theme is missing, or the offer is not one of the
        task force's pilots on the exchange.
    Conflict
        ``invitation_exists`` if it was invited on that theme already.
    """
    require_partner_seeker(by, force)
    values = load(InvitationSchema, data, reference)
    organisation = session.scalar(
        select(Organisation).where(Organisation.code == values["organisation"])
    )
    if organisation is None or reference.subregion_of(organisation.country_code) is None:
        problem = ("unknown_code", {"code": values["organisation"]})
        raise InvalidInput({"organisation": [problem]})
    require_no_conflict(session, by, organisation)
    offer = _pilot_offer(session, force, values["offer"])
    known = select(PilotInvitation.id).where(
        PilotInvitation.task_force_id == force.organisation_id,
        PilotInvitation.organisation_id == organisation.id,
        PilotInvitation.theme == values["theme"],
    )
    if session.scalar(known) is not None:
        raise Conflict("invitation_exists", organisation=organisation.name(by.language))
    invitation = PilotInvitation(
        task_force=force.organisation,
        organisation=organisation,
        theme=values["theme"],
        offer=offer,
        message=values["message"].strip(),
        status=InvitationStatus.ASKED,
        by=by,
    )
    session.add(invitation)
    record(
        session,
        by,
        "invitation.sent",
        invitation,
        after={
            "task_force": force.organisation.code,
            "organisation": organisation.code,
            "theme": invitation.theme,
            "message": invitation.message,
        },
    )
    tell_of_invitation(session, by, invitation)
    return invitation


def _pilot_offer(session: Session, force: TaskForce, reference: str) -> Offer | None:
    if not reference:
        return None
    offer: Offer | None = session.scalar(
        select(Offer).where(
            Offer.reference == reference.strip().lower(),
            Offer.organisation_id == force.organisation_id,
            Offer.pilot_hosted.is_(True),
            Offer.status.in_(LIVE),
        )
    )
    if offer is None:
        raise InvalidInput({"offer": [("no_live_post", {"reference": reference})]})
    return offer


def get_invitation(session: Session, invitation_id: int, by: User) -> PilotInvitation:
    """An invitation, for those who sent it, those who are invited, and the moderators.

    Raises
    ------
    NotFound
        ``no_such_invitation``.
    """
    found = session.get(PilotInvitation, invitation_id)
    if found is not None:
        force = get_task_force(session, found.task_force.code)
        if found.can_be_answered_by(by):
            return found
        try:
            require_partner_seeker(by, force)
        except NotAllowed:
            raise NotFound("no_such_invitation") from None
        return found
    raise NotFound("no_such_invitation")


def answer_invitation(
    session: Session,
    by: User,
    invitation: PilotInvitation,
    data: Mapping[str, Any],
    reference: Reference,
    *,
    willing: bool,
) -> None:
    """Accept or decline for the invited organisation; nothing is committed by it."""
    values = load(InvitationAnswerSchema, data, reference)
    require_no_conflict(session, by, invitation.task_force)
    invitation.answer_with(by, willing=willing, message=values["message"])
    after = {"status": str(invitation.status), "message": invitation.answer}
    if willing:
        record(session, by, "invitation.accepted", invitation, after=after)
    else:
        record(session, by, "invitation.declined", invitation, after=after)
    tell_of_invitation(session, by, invitation)


def invitations_of(force: TaskForce) -> Select[PilotInvitation]:
    """A query for the invitations that a task force has sent, the latest first."""
    return (
        select(PilotInvitation)
        .where(PilotInvitation.task_force_id == force.organisation_id)
        .options(selectinload(PilotInvitation.organisation), selectinload(PilotInvitation.offer))
        .order_by(PilotInvitation.id.desc())
    )


def waiting_invitations(session: Session, by: User) -> list[PilotInvitation]:
    """Invitations that wait for the answer of the person's organisation, oldest first."""
    found = session.scalars(
        select(PilotInvitation)
        .where(
            and_(
                PilotInvitation.organisation_id == by.organisation_id,
                PilotInvitation.status == InvitationStatus.ASKED,
            )
        )
        .options(selectinload(PilotInvitation.task_force))
        .order_by(PilotInvitation.id)
    )
    return [invitation for invitation in found if invitation.can_be_answered_by(by)]
