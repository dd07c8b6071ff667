"""Feeds of what is new, for readers and programs (Atom, RFC 4287)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from broker.agreements import RegisterFilter, find_agreements
from broker.posts import PostFilter, find_posts

MOST_ENTRIES = 50
"""Entries of one feed."""

LONGEST_SUMMARY = 600
"""Signs of an entry's summary."""

NOTHING_YET = datetime(2026, 1, 1, tzinfo=UTC)
"""When a feed without entries was changed last."""


@dataclass(frozen=True)
class Entry:
    """One thing that is new.

    ``language`` is that of ``title`` and ``summary``, which may be as they were written.
    """

    path: str
    title: str
    summary: str
    language: str
    author: str
    published: datetime
    updated: datetime
    categories: Sequence[tuple[str, str]] = ()


def new_posts(session: Session, filters: PostFilter, language: str, labels: Any) -> list[Entry]:
    """The newest posts that pass the filters of a list, as entries of a feed."""
    query = find_posts(replace(filters, sort="newest")).limit(MOST_ENTRIES)
    return [
        Entry(
            path=f"/{post.kind}s/{post.id}",
            title=post.title_in(language),
            summary=_shortened(post.summary_in(language)),
            language=language if post.translations.get(language) else post.language,
            author=post.organisation.name(language),
            published=post.published_at or post.created_at,
            updated=post.updated_at,
            categories=[(code, labels("theme", code)) for code in post.codes("theme")],
        )
        for post in session.scalars(query).unique()
    ]


def new_agreements(session: Session, filters: RegisterFilter, language: str) -> list[Entry]:
    """The newest agreements of the public register, as entries of a feed."""
    entries = []
    for agreement in session.scalars(find_agreements(filters, None).limit(MOST_ENTRIES)):
        parties = ", ".join(party.organisation.name(language) for party in agreement.parties)
        terms = agreement.current_terms
        shown = agreement.shows_activities_to(None)
        entries.append(
            Entry(
                path=f"/agreements/{agreement.id}",
                title=terms.title,
                summary=_shortened(terms.activities if shown else ""),
                language=language,
                author=parties,
                published=agreement.signed_at or agreement.created_at,
                updated=agreement.updated_at,
            )
        )
    return entries


def newest(entries: Sequence[Entry]) -> datetime:
    """When anything in the feed was changed last."""
    return max((entry.updated for entry in entries), default=NOTHING_YET)


def _shortened(text: str) -> str:
    if len(text) <= LONGEST_SUMMARY:
        return text
    return text[:LONGEST_SUMMARY].rsplit(" ", 1)[0] + " …"
