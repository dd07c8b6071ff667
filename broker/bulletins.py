"""The half-yearly bulletin: what came, what was agreed, who waits, what is scarce, what to do next.

Made from the match report of a half-year and public once the secretariat publishes it. A published
bulletin is kept as it was, in every language. Panama's cleaner production action plan asks for one
[002]; here it goes to the whole region, so it tells only what everybody may read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from textwrap import wrap
from typing import Any

from flask_babel import force_locale, ngettext
from flask_babel import gettext as _
from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from broker.audit import record
from broker.paths import TEMPLATES
from broker.reference import Reference
from broker.report.heading import period_of
from broker.report.layout import Figure, words_of
from broker.report.match_report import MatchReport, match_report
from broker.report.pdf import EXCHANGE, typeset
from broker.report.rows import ReportRows, choose_run
from broker.report.scope import ReportScope
from models import (
    LANGUAGES,
    PUBLICLY_REGISTERED,
    Agreement,
    Bulletin,
    Conflict,
    NotAllowed,
    NotFound,
    User,
)

TEMPLATE = TEMPLATES / "bulletins" / "bulletin.typ"

SHOWN = 5
"""Items of each list: the bulletin has two pages."""

REFERENCE = re.compile(r"(\d{4})-([12])")

PARTS = ("came", "agreed", "waits", "scarce", "next")
"""What a bulletin tells, in its order."""

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
            "figures": writer.figures(),
            "parts": [
                {"key": key, "title": title, "words": list(words), "items": list(items)}
                for key, title, words, items in writer.parts()
            ],
            "basis": writer.basis(),
        }


class _Writer:
    """Puts a report into the few sentences of a bulletin."""

    def __init__(self, session: Session, reference: Reference, report: MatchReport) -> None:
        self.session = session
        self.reference = reference
        self.report = report
        self.language = report.language

    def number(self, value: float, form: str = "count") -> str:
        return words_of(Figure(value, form), self.language)

    def figures(self) -> list[list[str]]:
        figures = self.report.figures
        found = [
            (figures.new_needs, ngettext("new need", "new needs", figures.new_needs)),
            (figures.new_offers, ngettext("new offer", "new offers", figures.new_offers)),
            (figures.signed, ngettext("agreement signed", "agreements signed", figures.signed)),
            (
                figures.places_committed,
                ngettext("place committed", "places committed", figures.places_committed),
            ),
            (figures.unmet_needs, ngettext("unmet need", "unmet needs", figures.unmet_needs)),
        ]
        return [[self.number(value), words] for value, words in found]

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
            needs=self.number(figures.new_needs),
            offers=self.number(figures.new_offers),
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
                count=self.number(figures.signed),
                places=self.number(figures.places_committed),
            )
        if figures.completed:
            yield ngettext(
                "%(count)s agreement was completed.",
                "%(count)s agreements were completed.",
                figures.completed,
                count=self.number(figures.completed),
            )
        if figures.agreement_days is not None:
            yield _(
                "From the first interest to the last signature it took %(days)s days (median).",
                days=self.number(figures.agreement_days, "days"),
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
                islands=self.number(islands.share, "percent"),
                all=self.number(equity.total.share, "percent"),
            )
        if figures.unmet_needs:
            yield ngettext(
                "%(count)s need has no offer that fits. Those nearest to a match:",
                "%(count)s needs have no offer that fits. Those nearest to a match:",
                figures.unmet_needs,
                count=self.number(figures.unmet_needs),
            )
        elif self.report.run is not None:
            yield _("Every need has an offer that fits.")

    def unmet(self) -> Iterator[list[str]]:
        for line in self.report.unmet[:SHOWN]:
            yield [line.need.title, line.need.place]

    # --- What is scarce

    def _gaps(self) -> list[tuple[str, int, int]]:
        """Themes on which more is asked than offered, the widest gap first."""
        rows = self.report.tables[0].rows
        gaps = [(r.label, r.total.needs, r.total.offers) for r in rows if r.total.balance < 0]
        return sorted(gaps, key=lambda gap: (gap[2] - gap[1], gap[0]))

    def scarce(self) -> Iterator[str]:
        if not self._gaps():
            yield _("On no theme is more asked than offered.")
            return
        yield _("Themes on which most is missing, needs against offers:")

    def gaps(self) -> Iterator[list[str]]:
        for label, needs, offers in self._gaps()[:SHOWN]:
            told = _(
                "%(needs)s needs, %(offers)s offers",
                needs=self.number(needs),
                offers=self.number(offers),
            )
            yield [label, told]

    # --- What to do next

    def next_steps(self) -> Iterator[str]:
        report, figures = self.report, self.report.figures
        gaps = self._gaps()
        if gaps:
            yield _("Providers: post offers on %(theme)s, where most is missing.", theme=gaps[0][0])
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
                count=self.number(figures.unused_offers),
            )
        if figures.late:
            yield ngettext(
                "Parties: %(count)s agreement has a milestone that is late. Report on it, or agree on a new day.",
                "Parties: %(count)s agreements have a milestone that is late. Report on it, or agree on a new day.",
                figures.late,
                count=self.number(figures.late),
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
    scope = ReportScope(today, since=half.starts, until=half.ends)
    run = choose_run(session, scope)
    bulletin = Bulletin(
        starts=half.starts,
        ends=half.ends,
        run_id=run.id if run else None,
        content={
            language: write_bulletin(session, reference, half, today=today, language=language)
            for language in LANGUAGES
        },
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
    content: dict[str, Any] = kept.get(language) or next(iter(kept.values()))
    return content


def bulletin_as_text(content: Mapping[str, Any]) -> str:
    """The bulletin as plain text, for an e-mail."""
    return "\n".join(_text(content)) + "\n"


def _text(content: Mapping[str, Any]) -> Iterator[str]:
    yield from (content["title"], content["period"], "")
    for value, words in content["figures"]:
        yield f"{value:>8}  {words}"
    for part in content["parts"]:
        yield from ("", part["title"].upper(), "")
        for words in part["words"]:
            yield from wrap(words, WIDTH)
        for title, detail in part["items"]:
            yield from wrap(f"– {title} ({detail})", WIDTH, subsequent_indent="  ")
    yield from ("", *wrap(content["basis"], WIDTH))


def bulletin_as_pdf(content: Mapping[str, Any], language: str) -> bytes:
    """The bulletin on paper, on two pages."""
    return typeset(TEMPLATE, "bulletin", {**content, "language": language})
