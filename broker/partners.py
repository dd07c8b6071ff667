"""The finder of pilot partners, also among those who have posted nothing, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from broker.accounts import organisations_behind
from broker.directory_search import DirectoryFilter, find_entries
from broker.exchange import Exchange
from broker.reference import Reference
from broker.task_forces import PILOT_MODALITY, require_partner_seeker
from matching.partners import Candidate, Fact, Partner, closeness, rank_partners
from models import (
    COVERING,
    IN_FORCE,
    PUBLICLY_READABLE,
    ActionPlan,
    Agreement,
    AgreementParty,
    AgreementStatus,
    Country,
    Entry,
    EntryFacet,
    Need,
    NotFound,
    Offer,
    Organisation,
    PilotInvitation,
    PlanLine,
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
    """Where a fact stands: a post, an agreement, a line of a plan, an entry of a directory, …"""

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
    _add_plan_lines(session, facts, near)
    _add_entries(session, facts, near, on=exchange.today())
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


def _add_plan_lines(session: Session, facts: _Facts, near: set[str]) -> None:
    """Lines on the themes in the action plans that a country keeps here."""
    lines = session.execute(
        select(PlanLine.id, PlanLine.plan_id, PlanLine.priority, PlanLine.themes, ActionPlan)
        .join(ActionPlan, PlanLine.plan_id == ActionPlan.id)
        .where(ActionPlan.country_code.is_not(None))
        .order_by(ActionPlan.starts.desc(), PlanLine.id)
    )
    for line_id, plan_id, priority, themes, plan in lines:
        about = near & set(themes)
        if about:
            fact = Fact("plan", f"line-{line_id}", frozenset(about))
            facts.add(fact, Row("line", line_id, priority, str(plan_id)), plan.country_code)


def _add_entries(session: Session, facts: _Facts, near: set[str], *, on: date) -> None:
    """What the directories hold on the themes: institutions, specialists, practices, techniques."""
    public = find_entries(DirectoryFilter(themes=tuple(sorted(near))), Entry.id, on=on)
    rows = session.execute(
        select(
            Entry.id, Entry.title, Entry.kind, Entry.organisation_id,
            func.coalesce(Entry.country_code, Organisation.country_code), EntryFacet.code,
        )
        .join(EntryFacet, EntryFacet.entry_id == Entry.id)
        .join(Organisation, Entry.organisation_id == Organisation.id)
        .where(Entry.id.in_(public), EntryFacet.facet == "theme", EntryFacet.code.in_(near))
        .order_by(Entry.id)
    ).all()  # fmt: skip
    themes: dict[int, set[str]] = {}
    for entry_id, *_rest, theme in rows:
        themes.setdefault(entry_id, set()).add(theme)
    for entry_id, title, kind, organisation, country, _theme in rows:
        fact = Fact("entries", f"entry-{entry_id}", frozenset(themes[entry_id]))
        facts.add(fact, Row("entry", entry_id, title, str(kind)), country, organisation)


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
