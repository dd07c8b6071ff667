"""The supply questionnaire and the programmes' five points, answered from the exchange.

Document 001, section 4.4, asks the region's experts eight questions about supply, and for each
programme who gives technical support and finance, who the key actors are, who coordinates, and by
what progress is measured. What is public on the exchange answers them; every answer names its rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from flask_babel import force_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from broker.reference import Reference
from broker.report.layout import Column, Content, Figure, Ref, Row, Rows, Section, Table
from broker.report.prose import Prose
from broker.report.rows import ReportRows, among
from broker.report.scope import ReportScope
from models import (
    PUBLICLY_REGISTERED,
    Agreement,
    AgreementParty,
    Indicator,
    Need,
    Organisation,
    Post,
    PostFacet,
    TaskForce,
    localised,
)

COOPERATION = frozenset(
    {"cooperation_agency", "task_force", "un_body", "development_bank", "other_donor",
     "intergovernmental_body"}
)  # fmt: skip
"""Kinds of organisations that work across countries."""

BUSINESS = frozenset({"business_association", "company", "cleaner_production_centre"})
CIVIL = frozenset({"ngo", "consumer_association"})

QUESTIONS = {
    "agencies": _l("1. Which international and regional agencies work on the subject here?"),
    "task_forces": _l("2. Which countries work with the Marrakech task forces?"),
    "activities": _l("3. Which of the task forces’ activities matter most here?"),
    "missing_themes": _l("4. Which themes matter here and belong to no task force?"),
    "governments": _l("5. Which programmes and policies do the governments have?"),
    "business": _l("6. Which initiatives does business coordinate?"),
    "civil": _l("7. Which initiatives do non-governmental organisations coordinate?"),
    "partners": _l("8. With whom could countries of the region work next?"),
}
"""Question → its words, after document 001, lines 562 to 569."""

LONGEST = 220
"""Letters of what a government wrote that a cell shows."""


@dataclass(frozen=True)
class PostFacts:
    """What an answer needs to know of a post on the exchange."""

    id: int
    kind: str
    reference: str
    title: str
    organisation_id: int


@dataclass(frozen=True)
class AgreementFacts:
    """A registered agreement with the organisations that take part."""

    id: int
    reference: str
    need_id: int
    offer_id: int
    country: str | None
    parties: frozenset[int]


def answer_questionnaire(
    session: Session,
    reference: Reference,
    *,
    language: str,
    today: date,
    subregion: str | None = None,
) -> tuple[Section, ...]:
    """The answers as sections, from what everybody may read.

    Parameters
    ----------
    subregion : str, optional
        Answer for one subregion: its needs, the offers that reach it, and what was agreed there.

    Notes
    -----
    The number of queries does not grow with the exchange.
    """
    with force_locale(language):
        facts = _Facts(session, reference, ReportScope(today, subregion=subregion), language)
        answers = _Answers(facts)
        return (*answers.questions(), *answers.programmes())


class _Facts:
    """The public rows that the answers are made of, each table read once."""

    def __init__(
        self, session: Session, reference: Reference, scope: ReportScope, language: str
    ) -> None:
        self.session = session
        self.reference = reference
        self.scope = scope
        self.language = language
        self.rows = ReportRows(session, reference, scope, None)

    @cached_property
    def organisations(self) -> dict[int, Organisation]:
        return {o.id: o for o in self.session.scalars(select(Organisation))}

    @cached_property
    def posts(self) -> dict[int, PostFacts]:
        """Posts on the exchange within the scope, by reference."""
        ids = self.rows.need_ids | self.rows.offer_ids
        columns = (
            Post.id, Post.kind, Post.reference, Post.title, Post.translations, Post.language,
            Post.organisation_id,
        )  # fmt: skip
        query = select(*columns).where(among(Post.id, ids)).order_by(Post.reference)
        return {
            id_: PostFacts(id_, kind, ref, self._title(title, translations, written), organisation)
            for id_, kind, ref, title, translations, written, organisation in self.session.execute(
                query
            )
        }

    def _title(self, title: str, translations: Mapping[str, Any], written: str) -> str:
        found = (translations or {}).get(self.language) or {}
        return (written != self.language and found.get("title")) or title

    @cached_property
    def by_programme(self) -> dict[str, set[int]]:
        """Programme → posts on the exchange that carry it."""
        found: dict[str, set[int]] = {code: set() for code in self.reference.codes("programme")}
        rows = self.session.execute(
            select(PostFacet.code, PostFacet.post_id).where(PostFacet.facet == "programme")
        )
        for code, post_id in rows:
            if code in found and post_id in self.posts:
                found[code].add(post_id)
        return found

    @cached_property
    def registered_programmes(self) -> dict[int, set[str]]:
        """Post of a registered agreement → its programmes, on the exchange or not."""
        ids = {a.need_id for a in self.agreements} | {a.offer_id for a in self.agreements}
        found: dict[int, set[str]] = {}
        rows = self.session.execute(
            select(PostFacet.code, PostFacet.post_id).where(
                PostFacet.facet == "programme", among(PostFacet.post_id, ids)
            )
        )
        for code, post_id in rows:
            found.setdefault(post_id, set()).add(code)
        return found

    @cached_property
    def agreements(self) -> list[AgreementFacts]:
        """Agreements of the public register within the scope."""
        query = (
            select(
                Agreement.id, Agreement.reference, Agreement.need_id, Agreement.offer_id,
                Need.country_code, AgreementParty.organisation_id,
            )
            .join(Need, Need.id == Agreement.need_id)
            .join(AgreementParty, AgreementParty.agreement_id == Agreement.id)
            .where(Agreement.status.in_(PUBLICLY_REGISTERED))
            .where(*self.scope.of_pairs(Agreement.need_id, Agreement.offer_id))
            .order_by(Agreement.reference)
        )  # fmt: skip
        found: dict[int, AgreementFacts] = {}
        parties: dict[int, set[int]] = {}
        for id_, reference, need_id, offer_id, country, party in self.session.execute(query):
            parties.setdefault(id_, set()).add(party)
            found[id_] = AgreementFacts(id_, reference, need_id, offer_id, country, frozenset())
        return [
            AgreementFacts(a.id, a.reference, a.need_id, a.offer_id, a.country, frozenset(parties[a.id]))
            for a in found.values()
        ]  # fmt: skip

    @cached_property
    def task_forces(self) -> list[TaskForce]:
        found = list(self.session.scalars(select(TaskForce)))
        return sorted(found, key=lambda t: self.organisations[t.organisation_id].code)

    def posts_of(self, kinds: Iterable[str], kind: str = "") -> dict[int, list[PostFacts]]:
        """Organisation of those kinds → its posts on the exchange."""
        wanted = set(kinds)
        found: dict[int, list[PostFacts]] = {}
        for post in self.posts.values():
            if self.organisations[post.organisation_id].kind in wanted and kind in ("", post.kind):
                found.setdefault(post.organisation_id, []).append(post)
        return found


class _Answers:
    def __init__(self, facts: _Facts) -> None:
        self.facts = facts
        self.reference = facts.reference
        self.language = facts.language
        self.prose = Prose(facts.language)

    # --- Pieces of an answer

    def organisation(self, id_: int) -> Ref:
        found = self.facts.organisations[id_]
        return Ref("organisation", id_, found.name(self.language), found.code)

    def label(self, scheme: str, code: str | None) -> str:
        return self.reference.label(scheme, code, self.language)

    def offers_of(self, id_: int, number: int, **codes: str) -> Figure:
        code = self.facts.organisations[id_].code
        return Figure(number, rows=Rows("offers", self._here({"organisation": code, **codes})))

    def _here(self, codes: dict[str, str]) -> dict[str, str]:
        subregion = self.facts.scope.subregion
        return {**codes, "subregion": subregion} if subregion else codes

    def agreements_of(self, id_: int, found: Iterable[AgreementFacts]) -> Figure:
        code = self.facts.organisations[id_].code
        number = sum(id_ in a.parties for a in found)
        # The register's list knows no subregion: within one, the number stands alone.
        leads = None if self.facts.scope.subregion else Rows("agreements", {"organisation": code})
        return Figure(number, rows=leads)

    @staticmethod
    def post(post: PostFacts) -> Ref:
        return Ref(post.kind, post.id, post.title)

    def answer(
        self,
        key: str,
        columns: tuple[Column, ...],
        rows: Iterable[Row],
        nothing: str,
        words: str = "",
    ) -> Section:
        title = str(QUESTIONS[key])
        found = tuple(rows)
        told = [words] if words and found else [] if found else [nothing]
        tables = (Table(key, title, columns, found),) if found else ()
        return Section(key, title, self.prose.sentences(told), tables=tables)

    # --- The eight questions

    def questions(self) -> Iterator[Section]:
        yield self.agencies()
        yield self.with_task_forces()
        yield self.activities()
        yield self.missing_themes()
        yield self.governments()
        yield self.initiatives(
            "business",
            BUSINESS,
            _("No organisation of business has posted or agreed on anything here yet."),
        )
        yield self.initiatives("civil", CIVIL, _("No such organisation has posted or agreed on anything here yet."))  # fmt: skip
        yield self.partners()

    def agencies(self) -> Section:
        facts = self.facts
        offers = facts.posts_of(COOPERATION, "offer")
        agreeing = {
            party
            for agreement in facts.agreements
            for party in agreement.parties
            if facts.organisations[party].kind in COOPERATION
        }
        found = sorted(
            offers.keys() | agreeing,
            key=lambda i: (-len(offers.get(i, ())), facts.organisations[i].code),
        )
        columns = (
            Column("organisation", _("Organisation")),
            Column("kind", _("Kind")),
            Column("offers", _("Offers open"), numeric=True),
            Column("agreements", _("Agreements"), numeric=True),
            Column("themes", _("Themes")),
        )
        themes = self._themes_by_post()
        rows = (
            Row(
                facts.organisations[i].code,
                (
                    self.organisation(i),
                    self.label("organisation_kind", facts.organisations[i].kind),
                    self.offers_of(i, len(offers.get(i, ()))),
                    self.agreements_of(i, facts.agreements),
                    self._most_common(themes.get(p.id, ()) for p in offers.get(i, ())),
                ),
            )
            for i in found
        )
        return self.answer("agencies", columns, rows, _("No agency has an offer open here."))

    def _themes_by_post(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for side in (self.facts.rows.market.needs, self.facts.rows.market.offers):
            for code, ids in side.holders["theme"].items():
                for post_id in ids:
                    found.setdefault(post_id, []).append(code)
        return found

    def _most_common(self, codes: Iterable[Iterable[str]], most: int = 4) -> str:
        counts = Counter(code for some in codes for code in some)
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
        return ", ".join(self.label("theme", code) for code, _number in ranked)

    def with_task_forces(self) -> Section:
        facts = self.facts
        columns = (
            Column("country", _("Country")),
            Column("task_force", _("Task force")),
            Column("how", _("How")),
            Column("source", _("Source")),
        )
        rows = sorted(self._memberships(), key=lambda row: row.code)
        return (
            self.answer(
                "task_forces",
                columns,
                rows,
                _("No country here works with a task force yet."),
                _("Memberships are those of 2007; agreements are those of the public register."),
            )
            if facts.task_forces
            else Section("task_forces", str(QUESTIONS["task_forces"]))
        )

    def _memberships(self) -> Iterator[Row]:
        facts = self.facts
        by_code = {
            one.code: facts.organisations[one.merged_into_id or one.id]
            for one in facts.organisations.values()
        }
        for force in facts.task_forces:
            home = facts.organisations[force.organisation_id]
            for member in force.region_members:
                body = by_code.get(member.get("organisation") or "")
                country = member.get("country") or (body.country_code if body else None)
                if not self._is_here(country):
                    continue
                words = localised(member.get("role") or {}, self.language)
                name = f"{body.name(self.language)}: " if body else ""
                yield Row(
                    f"{country}/{home.code}/{member.get('organisation', '')}",
                    (
                        self.label("country", country),
                        self.organisation(home.id),
                        f"{name}{words}",
                        _("member, 2007"),
                    ),
                )
            for agreement in facts.agreements:
                if home.id in agreement.parties and agreement.country:
                    yield Row(
                        f"{agreement.country}/{home.code}/{agreement.reference}",
                        (
                            self.label("country", agreement.country),
                            self.organisation(home.id),
                            _("Agreement"),
                            Ref("agreement", agreement.id, agreement.reference),
                        ),
                    )

    def _is_here(self, country: str | None) -> bool:
        place, asked = self.reference.subregion_of(country), self.facts.scope.subregion
        return place is not None and asked in (None, "regional", place)

    def activities(self) -> Section:
        facts = self.facts
        needs = facts.rows.market.needs
        columns = (
            Column("task_force", _("Task force")),
            Column("needs", _("Needs on its themes"), numeric=True),
            Column("offers", _("Its offers open"), numeric=True),
            Column("agreements", _("Agreements"), numeric=True),
            Column("asked", _("Most asked for")),
            Column("activities", _("Its activities")),
        )
        rows = []
        for force in facts.task_forces:
            home = facts.organisations[force.organisation_id]
            per_theme = {t: len(needs.holders["theme"].get(t, ())) for t in force.themes}
            on_themes = set().union(*(needs.holders["theme"].get(t, set()) for t in force.themes))
            own = sum(p.organisation_id == home.id for p in facts.posts.values())
            ranked = sorted((t for t in per_theme if per_theme[t]), key=lambda t: -per_theme[t])[:3]
            activities = "; ".join(localised(a, self.language) for a in force.activities)
            cells: tuple[Content, ...] = (
                self.organisation(home.id),
                Figure(len(on_themes), rows=Rows("needs", self._here({"theme": ",".join(force.themes)}))),
                self.offers_of(home.id, own),
                self.agreements_of(home.id, facts.agreements),
                ", ".join(f"{self.label('theme', t)} ({per_theme[t]})" for t in ranked),
                activities,
            )  # fmt: skip
            rows.append((-len(on_themes), home.code, Row(home.code, cells)))
        return self.answer(
            "activities",
            columns,
            (row for *_order, row in sorted(rows, key=lambda item: item[:2])),
            _("There is no task force."),
            _(
                "A task force stands higher the more needs are on its themes. Where it has no offer "
                "open, invite it to post one; where it has offers and no agreement, bring both sides "
                "together."
            ),
        )

    def missing_themes(self) -> Section:
        facts = self.facts
        covered = {theme for force in facts.task_forces for theme in force.themes}
        needs, offers = facts.rows.market.needs, facts.rows.market.offers
        counted = [
            (code, len(ids), len(offers.holders["theme"].get(code, ())))
            for code, ids in needs.holders["theme"].items()
            if code not in covered and ids
        ]
        columns = (
            Column("theme", _("Theme")),
            Column("needs", _("Needs"), numeric=True),
            Column("offers", _("Offers"), numeric=True),
        )
        rows = (
            Row(
                code,
                (
                    self.label("theme", code),
                    Figure(asked, rows=Rows("needs", self._here({"theme": code}))),
                    Figure(offered, rows=Rows("offers", self._here({"theme": code}))),
                ),
            )
            for code, asked, offered in sorted(counted, key=lambda item: (-item[1], item[0]))
        )
        return self.answer(
            "missing_themes",
            columns,
            rows,
            _("Every theme on which somebody asks belongs to a task force."),
        )

    def governments(self) -> Section:
        facts = self.facts
        columns = (
            Column("country", _("Country")),
            Column("post", _("Post")),
            Column("what", _("What exists")),
        )
        rows = []
        needs = facts.session.execute(
            select(Need.id, Need.country_code, Need.existing)
            .where(among(Need.id, facts.rows.need_ids), Need.existing != "")
            .order_by(Need.country_code, Need.reference)
        )
        for id_, country, existing in needs:
            where = self.label("country", country) if country else _("Several countries together")
            text = existing if len(existing) <= LONGEST else f"{existing[:LONGEST].rstrip()}…"
            rows.append(Row(facts.posts[id_].reference, (where, self.post(facts.posts[id_]), text)))
        for organisation_id, posts in facts.posts_of({"government"}, "offer").items():
            country = facts.organisations[organisation_id].country_code
            rows += [
                Row(post.reference, (self.label("country", country), self.post(post), _("offered to others")))
                for post in posts
            ]  # fmt: skip
        return self.answer(
            "governments",
            columns,
            sorted(rows, key=lambda row: (str(row.cells[0]), row.code)),
            _("No government has said yet what exists in its country."),
            _("What governments say exists already, and what they offer to other countries."),
        )

    def initiatives(self, key: str, kinds: frozenset[str], nothing: str) -> Section:
        facts = self.facts
        posts = facts.posts_of(kinds)
        columns = (
            Column("organisation", _("Organisation")),
            Column("kind", _("Kind")),
            Column("country", _("Country")),
            Column("what", _("Post or agreement")),
        )
        rows = []

        def row(id_: int, code: str, ref: Ref) -> Row:
            found = facts.organisations[id_]
            return Row(
                f"{found.code}/{code}",
                (
                    self.organisation(id_),
                    self.label("organisation_kind", found.kind),
                    self.label("country", found.country_code) or "–",
                    ref,
                ),
            )

        for id_, found in posts.items():
            rows += [row(id_, post.reference, self.post(post)) for post in found]
        for agreement in facts.agreements:
            rows += [
                row(party, agreement.reference, Ref("agreement", agreement.id, agreement.reference))
                for party in sorted(agreement.parties)
                if facts.organisations[party].kind in kinds
            ]
        return self.answer(key, columns, sorted(rows, key=lambda r: r.code), nothing)

    def partners(self) -> Section:
        """Providers with an offer open on a theme on which somebody asks, and no agreement yet."""
        facts = self.facts
        needs, offers = facts.rows.market.needs, facts.rows.market.offers
        fitting: dict[int, set[int]] = {}
        for code, ids in offers.holders["theme"].items():
            for offer_id in ids:
                fitting.setdefault(offer_id, set()).update(needs.holders["theme"].get(code, ()))
        bound = {party for agreement in facts.agreements for party in agreement.parties}
        found = []
        for id_, posts in facts.posts_of(COOPERATION, "offer").items():
            asked = set().union(*(fitting.get(post.id, set()) for post in posts))
            if asked and id_ not in bound:
                found.append((-len(asked), facts.organisations[id_].code, id_, posts, asked))
        columns = (
            Column("organisation", _("Organisation")),
            Column("offers", _("Offers open"), numeric=True),
            Column("needs", _("Needs on their themes"), numeric=True),
            Column("countries", _("From")),
        )
        rows = (
            Row(
                code,
                (
                    self.organisation(id_),
                    self.offers_of(id_, len(posts)),
                    Figure(len(asked)),
                    self._countries(asked),
                ),
            )
            for _less, code, id_, posts, asked in sorted(found, key=lambda item: item[:2])
        )
        return self.answer(
            "partners",
            columns,
            rows,
            _("Every provider with an offer on a theme that is asked for has an agreement here."),
            _(
                "Providers with an offer open on themes that somebody asks about, and no agreement "
                "here yet; the one with most such needs first."
            ),
        )

    def _countries(self, needs: Iterable[int]) -> str:
        places = self.facts.rows.need_places
        codes = {places[n][0] for n in needs if places[n][0]}
        return ", ".join(sorted(self.label("country", code) for code in codes))

    # --- The programmes

    def programmes(self) -> Iterator[Section]:
        for code in self.reference.codes("programme"):
            yield self.programme(code)

    def programme(self, code: str) -> Section:
        facts = self.facts
        posts = [facts.posts[i] for i in sorted(facts.by_programme.get(code, ()))]
        kinds = facts.rows.market.offers.holders["support_kind"]
        offers = [post for post in posts if post.kind == "offer"]

        def giving(*support: str) -> list[PostFacts]:
            ids = set().union(*(kinds.get(kind, set()) for kind in support))
            return [post for post in offers if post.id in ids]

        agreed = [
            a
            for a in facts.agreements
            if code in facts.registered_programmes.get(a.need_id, ())
            or code in facts.registered_programmes.get(a.offer_id, ())
        ]
        tables = [
            self._givers("technical", _("a. Technical support and capacity building"),
                         giving("technical_support", "capacity_building"), code),
            self._givers("finance", _("b. Finance"), giving("finance"), code),
            self._actors(posts, agreed),
            self._coordination(offers, agreed),
            self._indicators(agreed),
        ]  # fmt: skip
        words = _(
            "%(needs)s needs and %(offers)s offers are open in this programme; %(agreements)s "
            "agreements stand in the register.",
            needs=self.prose.number(
                len(posts) - len(offers), Rows("needs", self._here({"programme": code}))
            ),
            offers=self.prose.number(len(offers), Rows("offers", self._here({"programme": code}))),
            agreements=self.prose.number(len(agreed)),
        )
        title = _("Programme: %(name)s", name=self.label("programme", code))
        return Section(
            f"programme-{code}", title, self.prose.sentences([words]), tables=tuple(tables)
        )

    def _table(
        self, key: str, title: str, columns: tuple[Column, ...], rows: Iterable[Row]
    ) -> Table:
        found = tuple(rows)
        return Table(key, title, columns, found, note="" if found else _("Nobody yet."))

    def _givers(self, key: str, title: str, posts: list[PostFacts], programme: str) -> Table:
        by: dict[int, list[PostFacts]] = {}
        for post in posts:
            by.setdefault(post.organisation_id, []).append(post)
        columns = (
            Column("organisation", _("Organisation")),
            Column("offers", _("Offers open"), numeric=True),
        )
        ranked = sorted(by, key=lambda i: (-len(by[i]), self.facts.organisations[i].code))
        support = {"finance": "finance", "technical": "technical_support,capacity_building"}[key]
        rows = []
        for i in ranked:
            number = self.offers_of(i, len(by[i]), programme=programme, support_kind=support)
            name = self.organisation(i)
            titles = "; ".join(post.title for post in by[i])
            rows.append(Row(self.facts.organisations[i].code, (name, number, titles)))
        return self._table(key, title, (*columns, Column("what", _("What it offers"))), rows)

    def _actors(self, posts: list[PostFacts], agreed: list[AgreementFacts]) -> Table:
        facts = self.facts
        counts: dict[int, list[int]] = {}
        for post in posts:
            place = 0 if post.kind == "need" else 1
            counts.setdefault(post.organisation_id, [0, 0, 0])[place] += 1
        for agreement in agreed:
            for party in agreement.parties:
                counts.setdefault(party, [0, 0, 0])[2] += 1
        ranked = sorted(counts, key=lambda i: (-sum(counts[i]), facts.organisations[i].code))
        columns = (
            Column("organisation", _("Organisation")),
            Column("kind", _("Kind")),
            Column("needs", _("Needs"), numeric=True),
            Column("offers", _("Offers"), numeric=True),
            Column("agreements", _("Agreements"), numeric=True),
        )
        rows = (
            Row(
                facts.organisations[i].code,
                (
                    self.organisation(i),
                    self.label("organisation_kind", facts.organisations[i].kind),
                    *(Figure(number) for number in counts[i]),
                ),
            )
            for i in ranked
        )
        return self._table("actors", _("c. Key actors"), columns, rows)

    def _coordination(self, offers: list[PostFacts], agreed: list[AgreementFacts]) -> Table:
        """Nobody is named coordinator in the data: the provider that does most stands first."""
        facts = self.facts
        counts = Counter(post.organisation_id for post in offers)
        for agreement in agreed:
            counts.update(
                party
                for party in agreement.parties
                if facts.organisations[party].kind in COOPERATION
            )
        best = sorted(counts, key=lambda i: (-counts[i], facts.organisations[i].code))[:1]
        columns = (Column("organisation", _("Organisation")), Column("why", _("Why")))
        rows = [
            Row(
                facts.organisations[i].code,
                (
                    self.organisation(i),
                    _(
                        "It has the most offers and agreements of this programme: %(count)s. Nobody "
                        "has been named; this is what the exchange suggests.",
                        count=counts[i],
                    ),
                ),
            )
            for i in best
        ]
        return self._table("coordination", _("d. Coordinating organisation"), columns, rows)

    def _indicators(self, agreed: list[AgreementFacts]) -> Table:
        columns = (
            Column("indicator", _("Indicator")),
            Column("unit", _("Unit")),
            Column("target", _("Target"), numeric=True),
            Column("agreement", _("Agreement")),
        )
        by_id = {agreement.id: agreement for agreement in agreed}
        rows = (
            Row(
                f"{by_id[found.agreement_id].reference}/{found.id}",
                (
                    found.name,
                    found.unit,
                    found.target,
                    Ref("agreement", found.agreement_id, by_id[found.agreement_id].reference),
                ),
            )
            for found in self.indicators
            if found.agreement_id in by_id
        )
        return self._table("indicators", _("e. Indicators of progress"), columns, rows)

    @cached_property
    def indicators(self) -> list[Indicator]:
        ids = [agreement.id for agreement in self.facts.agreements]
        query = select(Indicator).where(among(Indicator.agreement_id, ids)).order_by(Indicator.id)
        return list(self.facts.session.scalars(query))
