"""The half-yearly bulletin: what came, what was agreed, who waits, what is scarce, what to do next.

Made from the match report of a half-year and public once the secretariat publishes it. A published
bulletin is kept as it was, in every language. Panama's cleaner production action plan asks for one
[002]; here it goes to the whole region, so it tells only what everybody may read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from textwrap import wrap
from typing import Any

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from broker.audit import record
from broker.paths import TEMPLATES
from broker.reference import Reference
from broker.report.equity import PlaceEquity
from broker.report.heading import period_of
from broker.report.layout import Figure, Rows, words_of
from broker.report.lists import find_rows
from broker.report.match_report import MatchReport, match_report
from broker.report.pdf import EXCHANGE, typeset
from broker.report.prose import Prose
from broker.report.rows import PARTIES, ReportRows, among, choose_run
from broker.report.scope import ReportScope
from broker.report.sections.brief import KEY_FIGURES, figure_of
from broker.supply_demand import CodeRow
from models import (
    LANGUAGES,
    PUBLICLY_REGISTERED,
    Agreement,
    Bulletin,
    Commitment,
    Conflict,
    NotAllowed,
    NotFound,
    Post,
    User,
)

TEMPLATE = TEMPLATES / "bulletins" / "bulletin.typ"

SHOWN = 5
"""Items of each list: the bulletin has two pages."""

REFERENCE = re.compile(r"(\d{4})-([12])")

PARTS = ("came", "agreed", "waits", "scarce", "next")
"""What a bulletin tells, in its order."""

Piece = str | list[str]
"""A part of a sentence: words, or a number with the key of the list to which it leads."""

ROWS = "rows"
"""Where a published bulletin keeps the rows behind its numbers, beside its languages."""

WIDTH = 76
"""Letters of a line of the text, so that a letter shows it whole."""


@dataclass(frozen=True)
class Half:
    """A half-year."""

    year: int
    half: int

    @classmethod
    def of(cls, day: date) -> Half:
        """The half-year of a day."""
        return cls(day.year, 1 if day.month <= 6 else 2)

    @property
    def starts(self) -> date:
        """Its first day."""
        return date(self.year, 1 if self.half == 1 else 7, 1)

    @property
    def ends(self) -> date:
        """Its last day."""
        return date(self.year, 6, 30) if self.half == 1 else date(self.year, 12, 31)

    @property
    def reference(self) -> str:
        """Year and half, e.g. ``2026-1``."""
        return f"{self.year}-{self.half}"

    def before(self) -> Half:
        """The half-year before."""
        return Half.of(self.starts - timedelta(days=1))


def read_half(reference: str, *, today: date) -> Half:
    """The half-year that an address names; the present one where it is empty.

    Raises
    ------
    NotFound
        For what is no half-year between 2000 and today.
    """
    if not reference:
        return Half.of(today)
    found = REFERENCE.fullmatch(reference)
    half = Half(int(found[1]), int(found[2])) if found else None
    if half is None or half.year < 2000 or half.starts > today:
        raise NotFound("no_such_bulletin", reference=reference[:20])
    return half


def write_bulletin(
    session: Session, reference: Reference, half: Half, *, today: date, language: str
) -> dict[str, Any]:
    """The bulletin of a half-year in one language, as data: title, period, figures and parts.

    Only what everybody may read is in it: posts that were published, agreements of the public
    register, and counts.
    """
    scope = ReportScope(today, since=half.starts, until=half.ends)
    report = match_report(session, reference, scope=scope, language=language, listed=SHOWN)
    with force_locale(language):
        writer = _Writer(session, reference, report)
        return {
            "title": _("Bulletin %(half)s of %(year)s", half=half.half, year=half.year),
            "exchange": str(EXCHANGE),
            "period": period_of(scope, language),
            "run": report.run.id if report.run else None,
            "figures": [[writer.kept(number)[0], words] for number, words in writer.figures()],
            "parts": [
                {
                    "key": key,
                    "title": title,
                    "words": [writer.kept(words) for words in told],
                    "items": [[title, writer.kept(detail)] for title, detail in items],
                }
                for key, title, told, items in writer.parts()
            ],
            "basis": writer.basis(),
            "lists": writer.lists,
        }


class _Writer(Prose):
    """Puts a report into the few sentences of a bulletin."""

    def __init__(self, session: Session, reference: Reference, report: MatchReport) -> None:
        super().__init__(report.language)
        self.session = session
        self.reference = reference
        self.report = report
        self.lists: dict[str, dict[str, Any]] = {}
        """Key of a list to which a number leads → its name, its parameters, and its title."""

    def told(self, key: str) -> str:
        """A key figure as it stands in a sentence."""
        return self.figure(figure_of(key, self.report.figures))

    def kept(self, words: str) -> list[Piece]:
        """A sentence as it is kept: words, and numbers each with the key of its list."""
        return [
            piece if isinstance(piece, str) else [piece.words, self._list(piece.rows)]
            for piece in self.sentence(words).pieces
        ]

    def _list(self, rows: Rows) -> str:
        key = "-".join([rows.name, *rows.values.values()])
        self.lists[key] = {
            "name": rows.name,
            "values": dict(rows.values),
            "title": self._title(rows),
        }
        return key

    def _title(self, rows: Rows) -> str:
        for found in KEY_FIGURES:
            if found.rows == rows and found.form == "count":
                return str(found.name)
        if rows.name == "asking":
            return _("Needs by place")
        name = {"needs": _("Needs"), "offers": _("Offers")}[rows.name]
        return f"{name}: {self.reference.label('theme', rows.values['theme'], self.language)}"

    def figures(self) -> Iterator[tuple[str, str]]:
        figures = self.report.figures
        for key, words in (
            ("new_needs", ngettext("new need", "new needs", figures.new_needs)),
            ("new_offers", ngettext("new offer", "new offers", figures.new_offers)),
            ("signed", ngettext("agreement signed", "agreements signed", figures.signed)),
            (
                "places_committed",
                ngettext("place committed", "places committed", figures.places_committed),
            ),
            ("unmet_needs", ngettext("unmet need", "unmet needs", figures.unmet_needs)),
        ):
            yield self.told(key), words

    def basis(self) -> str:
        run = self.report.run
        if run is None:
            return _("Matching had not been run in this half-year.")
        return _(
            "Needs, offers and matches are those of run %(id)s of %(day)s.",
            id=run.id,
            day=words_of(run.on, self.language),
        )

    def parts(self) -> Iterator[tuple[str, str, Iterator[str], Iterator[list[str]]]]:
        yield "came", _("What came"), self.came(), self.newest()
        yield "agreed", _("What was agreed"), self.agreed(), self.signed()
        yield "waits", _("Who waits"), self.waits(), self.unmet()
        yield "scarce", _("What is scarce"), self.scarce(), self.gaps()
        yield "next", _("What to do next"), self.next_steps(), iter(())

    # --- What came

    def came(self) -> Iterator[str]:
        figures, earlier = self.report.figures, self.report.earlier
        if not (figures.new_needs or figures.new_offers):
            yield _("Nothing new was posted in this half-year.")
            return
        yield _(
            "%(needs)s needs and %(offers)s offers came onto the exchange.",
            needs=self.told("new_needs"),
            offers=self.told("new_offers"),
        )
        if earlier is not None:
            yield _(
                "In the half-year before, %(needs)s needs and %(offers)s offers did.",
                needs=self.number(earlier.figures.new_needs),
                offers=self.number(earlier.figures.new_offers),
            )

    def newest(self) -> Iterator[list[str]]:
        run = choose_run(self.session, self.report.scope)
        rows = ReportRows(self.session, self.reference, self.report.scope, run)
        for kind, most in (("need", 3), ("offer", 2)):
            query = rows.posted(kind)
            model = query.column_descriptions[0]["entity"]
            newest = query.order_by(None).order_by(model.published_at.desc(), model.reference)
            for post in self.session.scalars(newest.limit(most)):
                if post.can_be_seen_by(None):
                    yield [post.title_in(self.language), post.organisation.name(self.language)]

    # --- What was agreed

    def agreed(self) -> Iterator[str]:
        figures = self.report.figures
        if not figures.signed:
            yield _("No agreement was signed in this half-year.")
        else:
            yield ngettext(
                "%(count)s agreement was signed; %(places)s places were committed in the half-year.",
                "%(count)s agreements were signed; %(places)s places were committed in the half-year.",
                figures.signed,
                count=self.told("signed"),
                places=self.told("places_committed"),
            )
        if figures.completed:
            yield ngettext(
                "%(count)s agreement was completed.",
                "%(count)s agreements were completed.",
                figures.completed,
                count=self.told("completed"),
            )
        if figures.agreement_days is not None:
            yield _(
                "From the first interest to the last signature it took %(days)s days (median).",
                days=self.told("agreement_days"),
            )

    def signed(self) -> Iterator[list[str]]:
        run = choose_run(self.session, self.report.scope)
        rows = ReportRows(self.session, self.reference, self.report.scope, run)
        query = rows.agreements(event="signed").where(Agreement.status.in_(PUBLICLY_REGISTERED))
        for agreement in self.session.scalars(query.limit(SHOWN)):
            sides = (agreement.need.organisation, agreement.offer.organisation)
            names = " – ".join(side.name(self.language) for side in sides)
            yield [agreement.current_terms.title, names]

    # --- Who waits

    def waits(self) -> Iterator[str]:
        figures, equity = self.report.figures, self.report.equity
        islands = next(g for g in equity.groups if g.code == "small_island")
        if islands.share is not None and equity.total.share is not None:
            yield _(
                "An agreement serves %(islands)s of the needs of small island States, and %(all)s of "
                "all needs.",
                islands=self._share_of(islands),
                all=self._share_of(equity.total),
            )
        if figures.unmet_needs:
            yield ngettext(
                "%(count)s need has no offer that fits. Those nearest to a match:",
                "%(count)s needs have no offer that fits. Those nearest to a match:",
                figures.unmet_needs,
                count=self.told("unmet_needs"),
            )
        elif self.report.run is not None:
            yield _("Every need has an offer that fits.")

    def _share_of(self, place: PlaceEquity) -> str:
        return self.figure(
            Figure(place.share, "percent", Rows("asking", {"place": place.code or "any"}))
        )

    def unmet(self) -> Iterator[list[str]]:
        for line in self.report.unmet[:SHOWN]:
            yield [line.need.title, line.need.place]

    # --- What is scarce

    def _gaps(self) -> list[CodeRow]:
        """Themes on which more is asked than offered, the widest gap first."""
        gaps = [row for row in self.report.tables[0].rows if row.total.balance < 0]
        return sorted(gaps, key=lambda row: (row.total.balance, row.label))

    def scarce(self) -> Iterator[str]:
        if not self._gaps():
            yield _("On no theme is more asked than offered.")
            return
        yield _("Themes on which most is missing, needs against offers:")

    def gaps(self) -> Iterator[list[str]]:
        for row in self._gaps()[:SHOWN]:
            told = _(
                "%(needs)s needs, %(offers)s offers",
                needs=self.number(row.total.needs, Rows("needs", {"theme": row.code})),
                offers=self.number(row.total.offers, Rows("offers", {"theme": row.code})),
            )
            yield [row.label, told]

    # --- What to do next

    def next_steps(self) -> Iterator[str]:
        report, figures = self.report, self.report.figures
        gaps = self._gaps()
        if gaps:
            yield _(
                "Providers: post offers on %(theme)s, where most is missing.", theme=gaps[0].label
            )
        if report.overdue_interests:
            yield ngettext(
                "Both sides: %(count)s interest has waited for more than two weeks. Answer it, even with a no.",
                "Both sides: %(count)s interests have waited for more than two weeks. Answer them, even with a no.",
                report.overdue_interests,
                count=self.number(report.overdue_interests),
            )
        helped = next((line for line in report.unmet if line.missing and line.offer_id), None)
        if helped is not None:
            yield _(
                "“%(title)s” is close to a match: %(change)s",
                title=helped.need.title,
                change=helped.missing[0],
            )
        if figures.unused_offers:
            yield ngettext(
                "Focal points: %(count)s offer has met no need. Look whether your country could use it.",
                "Focal points: %(count)s offers have met no need. Look whether your country could use one.",
                figures.unused_offers,
                count=self.told("unused_offers"),
            )
        if figures.late:
            yield ngettext(
                "Parties: %(count)s agreement has a milestone that is late. Report on it, or agree on a new day.",
                "Parties: %(count)s agreements have a milestone that is late. Report on it, or agree on a new day.",
                figures.late,
                count=self.told("late"),
            )
        silent = report.equity.silent
        if silent:
            names = sorted(self.reference.label("country", code, self.language) for code in silent)
            yield _(
                "Nobody has asked yet from: %(countries)s. Their focal points are invited to post "
                "a need.",
                countries=", ".join(names),
            )


def publish_bulletin(
    session: Session, by: User, reference: Reference, half: Half, *, today: date
) -> Bulletin:
    """Keep the bulletin of a half-year, in every language, for everybody and for ever.

    Raises
    ------
    NotAllowed
        For anybody but the secretariat.
    Conflict
        If it is published already.
    """
    if not by.is_secretariat:
        raise NotAllowed("secretariat_only")
    if find_bulletin(session, half) is not None:
        raise Conflict("bulletin_exists", reference=half.reference)
    contents = {
        language: write_bulletin(session, reference, half, today=today, language=language)
        for language in LANGUAGES
    }
    scope = ReportScope(today, since=half.starts, until=half.ends)
    rows = ReportRows(session, reference, scope, choose_run(session, scope))
    lists = {key: found for content in contents.values() for key, found in content["lists"].items()}
    bulletin = Bulletin(
        starts=half.starts,
        ends=half.ends,
        run_id=rows.run.id if rows.run else None,
        content={**contents, ROWS: {key: _ids_of(rows, found) for key, found in lists.items()}},
        by=by,
    )
    session.add(bulletin)
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody else has published it since we looked.
        raise Conflict("bulletin_exists", reference=half.reference) from error
    record(session, by, "bulletin.published", bulletin, after={"ends": half.ends})
    return bulletin


def _ids_of(rows: ReportRows, found: Mapping[str, Any]) -> list[int]:
    """The rows of a list as they are now, in its order."""
    query = find_rows(rows, found["name"], found["values"])
    return list(rows.session.scalars(query.options().with_only_columns(_model_of(query).id)))


def _model_of(query: Select[Any]) -> Any:
    return query.column_descriptions[0]["entity"]


def kept_rows(
    bulletin: Bulletin, key: str, language: str
) -> tuple[str, list[int], Callable[[Session, Sequence[int]], list[Any]]]:
    """The rows that made a number of a published bulletin: their title, ids, and how to load them.

    Raises
    ------
    NotFound
        For a list to which no number leads.
    """
    lists = content_of(bulletin, language).get("lists", {})
    if key not in lists:
        raise NotFound("no_such_page")
    found = lists[key]
    return found["title"], bulletin.content[ROWS][key], MODELS.get(found["name"], _load_posts)


def _load_posts(session: Session, ids: Sequence[int]) -> list[Any]:
    return _load(session, Post, ids, selectinload(Post.organisation))


def _load_agreements(session: Session, ids: Sequence[int]) -> list[Any]:
    return _load(session, Agreement, ids, *PARTIES)


def _load_commitments(session: Session, ids: Sequence[int]) -> list[Any]:
    return _load(session, Commitment, ids, selectinload(Commitment.agreement).options(*PARTIES))


def _load(session: Session, model: Any, ids: Sequence[int], *options: Any) -> list[Any]:
    found = session.scalars(select(model).where(among(model.id, ids)).options(*options))
    by_id = {row.id: row for row in found}
    return [by_id[id_] for id_ in ids if id_ in by_id]


MODELS: dict[str, Callable[[Session, Sequence[int]], list[Any]]] = {
    "agreements": _load_agreements,
    "commitments": _load_commitments,
}
"""Name of a list → what loads its rows; all others are of posts."""


def find_bulletin(session: Session, half: Half) -> Bulletin | None:
    """The published bulletin of a half-year, if there is one."""
    return session.scalar(
        select(Bulletin).where(Bulletin.starts == half.starts, Bulletin.ends == half.ends)
    )


def get_bulletin(session: Session, year: int, half: int) -> Bulletin:
    """A published bulletin; raises :class:`models.errors.NotFound`."""
    found = find_bulletin(session, Half(year, half)) if half in (1, 2) and 2000 <= year < 2200 else None  # fmt: skip
    if found is None:
        raise NotFound("no_such_bulletin", reference=f"{year}-{half}")
    return found


def find_bulletins() -> Select[Bulletin]:
    """A query for the published bulletins, newest first."""
    return select(Bulletin).order_by(Bulletin.starts.desc())


def content_of(bulletin: Bulletin, language: str) -> dict[str, Any]:
    """A published bulletin in a reader's language, or in the first in which it was kept."""
    kept: Mapping[str, Any] = bulletin.content
    first = next(code for code in LANGUAGES if code in kept)
    content: dict[str, Any] = kept.get(language) or kept[first]
    return content


def plain_words(sentence: str | Sequence[Piece]) -> str:
    """A kept sentence without its links; bulletins of old kept it as a text."""
    if isinstance(sentence, str):
        return sentence
    return "".join(piece if isinstance(piece, str) else piece[0] for piece in sentence)


def bulletin_as_text(content: Mapping[str, Any]) -> str:
    """The bulletin as plain text, for an e-mail."""
    return "\n".join(_text(content)) + "\n"


def _text(content: Mapping[str, Any]) -> Iterator[str]:
    yield from (content["title"], content["period"], "")
    for value, words in content["figures"]:
        yield f"{plain_words([value]):>8}  {words}"
    for part in content["parts"]:
        yield from ("", part["title"].upper(), "")
        for words in part["words"]:
            yield from wrap(plain_words(words), WIDTH)
        for title, detail in part["items"]:
            yield from wrap(f"– {title} ({plain_words(detail)})", WIDTH, subsequent_indent="  ")
    yield from ("", *wrap(content["basis"], WIDTH))


def bulletin_as_pdf(content: Mapping[str, Any], language: str) -> bytes:
    """The bulletin on paper, on two pages."""
    parts = [
        {
            **part,
            "words": [plain_words(words) for words in part["words"]],
            "items": [[title, plain_words(detail)] for title, detail in part["items"]],
        }
        for part in content["parts"]
    ]
    figures = [[plain_words([value]), words] for value, words in content["figures"]]
    sheet = {**content, "figures": figures, "parts": parts, "language": language}
    return typeset(TEMPLATE, "bulletin", sheet)
