"""The book: all live posts in matrix form, ready to be matched, explained and changed in place.

>>> from datetime import date
>>> book = Book(taxonomy, text_model)  # doctest: +SKIP
>>> book.put_offer(offer, vector)  # doctest: +SKIP
>>> book.put_need(need, vector)  # doctest: +SKIP
>>> book.rank_offers(need.id, on=date(2026, 3, 1)).matches[0].points  # doctest: +SKIP
83.25
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from threading import RLock
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from matching import eligibility, explain
from matching.bound import Tables, TextBound, bound_row, find_best, in_groups
from matching.columns import (
    Columns,
    Rows,
    need_columns,
    offer_columns,
    write_need,
    write_offer,
)
from matching.explain import Change, Explanation, Ledger, TextEvidence, WhyNot
from matching.forms import BARRED, Forms
from matching.pairs import broken_rules, pair_likeness, pair_totals
from matching.profile import NeedProfile, OfferProfile, ProfileError, Side
from matching.run import (
    ROWS,
    MatchRun,
    Plan,
    Versions,
    complete,
    open_needs,
    open_offers,
    plan_run,
)
from matching.score import (
    COMPONENTS,
    ENGINE_VERSION,
    MICRO,
    Bands,
    TextScale,
    Vector,
    Weights,
    component_similarity,
    similarities,
)
from matching.taxonomy import Taxonomy

Profile = TypeVar("Profile", NeedProfile, OfferProfile)
Progress = Callable[[int, int], None]
"""Told how many needs are done, of how many."""


class TextLikeness(Protocol):
    """What the book asks of a text model; see ``matching.text.TextModel``."""

    version: str
    dimension: int

    def calibrate(self, raw: NDArray[np.float64], /) -> NDArray[np.floating[Any]]:
        """Bring inner products of vectors to a likeness in [0, 1], monotonically."""
        ...


class UnknownPost(LookupError):
    """The book holds no such post.

    Attributes
    ----------
    side, id
        Which post was asked for.
    """

    def __init__(self, side: Side, number: int) -> None:
        super().__init__(f"the book holds no {side} {number}")
        self.side = side
        self.id = number


@dataclass(frozen=True, slots=True)
class Ranked:
    """A match in a ranking.

    Attributes
    ----------
    place
        1 for the first.
    micro_points
        The score in millionths of a point.
    band
        ``strong``, ``good``, ``possible`` or ``weak``; see ``score.Bands``.
    eligible
        False only in rankings that were asked to show pairs that break a rule, too.
    """

    place: int
    need_id: int
    offer_id: int
    micro_points: int
    band: str
    eligible: bool = True

    @property
    def points(self) -> float:
        """The score, 0 to 100."""
        return self.micro_points / MICRO


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best partners of a post; can be looped over.

    Attributes
    ----------
    matches
        The best first; equal scores by reference, then id.
    nobody
        Whether no partner reaches ``Bands.possible``: then the honest answer is that nobody can.
    eligible
        Number of partners that break no rule.
    """

    matches: tuple[Ranked, ...]
    nobody: bool
    eligible: int

    def __iter__(self) -> Iterator[Ranked]:
        return iter(self.matches)

    def __len__(self) -> int:
        return len(self.matches)

    def __getitem__(self, number: int) -> Ranked:
        return self.matches[number]


class Shelf(Generic[Profile]):
    """The posts of one side: profiles, digests and columns, by row; freed rows are used again.

    Parameters
    ----------
    write
        Writes a profile and its vector into a row of columns.
    derive
        Computes the columns that follow from the written ones.
    """

    def __init__(
        self,
        side: Side,
        columns: Columns,
        write: Callable[[Columns, int, Profile, Vector], None],
        derive: Callable[[Columns], dict[str, Vector]],
    ) -> None:
        self.side = side
        self.columns = columns
        self.row_of: dict[int, int] = {}
        self.profiles: list[Profile | None] = []
        self.digests: list[bytes] = []
        self._free: list[int] = []
        self._names: list[tuple[str, int, int]] = []
        self._write: Callable[[Columns, int, Profile, Vector], None] = write
        self._derive: Callable[[Columns], dict[str, Vector]] = derive

    def __len__(self) -> int:
        return len(self.profiles)

    def row(self, number: int) -> int:
        """Row of a post; raises ``UnknownPost``."""
        try:
            return self.row_of[number]
        except KeyError:
            raise UnknownPost(self.side, number) from None

    def profile(self, row: int) -> Profile:
        """Profile in a live row."""
        profile = self.profiles[row]
        if profile is None:
            raise UnknownPost(self.side, row)
        return profile

    def put(self, profiles: Sequence[Profile], grid: Vector) -> None:
        """Put posts in, or replace those of the same ids; `grid` is (n, dimension)."""
        alone = len(profiles) == 1
        if alone and profiles[0].id in self.row_of:
            self._forget_name(self.row_of[profiles[0].id])
        rows: list[int] = []
        for profile, text in zip(profiles, grid, strict=True):
            row: int = self._claim(profile.id)
            self._write(self.columns, row, profile, text)
            self.profiles[row] = profile
            said = profile.digest() + np.ascontiguousarray(text, dtype="<f4").tobytes()
            self.digests[row] = hashlib.sha256(said).digest()
            rows.append(row)
        if alone:
            insort(self._names, (*self.name(rows[0]), rows[0]))
        else:
            self._names = sorted(
                (self.profile(place).reference, number, place)
                for number, place in self.row_of.items()
            )
        for name, values in self._derive(self.columns.take(np.array(rows, np.int64))).items():
            self.columns[name][rows] = values

    def alone(self, profile: Profile, text: Vector) -> Columns:
        """Columns of a post that is not put in, one row."""
        columns = self.columns.take(np.zeros(1, np.int64))
        self._write(columns, 0, profile, text)
        for name, values in self._derive(columns).items():
            columns[name][:] = values
        return columns

    def remove(self, number: int) -> None:
        """Take a post out; raises ``UnknownPost``."""
        row = self.row(number)
        self._forget_name(row)
        del self.row_of[number]
        self.profiles[row] = None
        self.columns["live"][row] = False
        self._free.append(row)

    def copy_to(self, other: "Shelf[Profile]") -> None:
        """Put all live posts into another shelf too."""
        rows = self.in_order()
        other.put([self.profile(row) for row in rows], self.columns["text"][rows])

    def view(self) -> Columns:
        """The columns of all rows, live and freed, without copying."""
        return self.columns.take(slice(0, len(self)))

    def single(self, number: int) -> Columns:
        """The columns of one post, one row; raises ``UnknownPost``."""
        row = self.row(number)
        return self.columns.take(slice(row, row + 1))

    def name(self, row: int) -> tuple[str, int]:
        """Reference and id of a live row: what ties are broken by."""
        profile = self.profile(row)
        return profile.reference, profile.id

    def in_order(self) -> list[int]:
        """Rows of the live posts, by reference, then id."""
        return [row for _, _, row in self._names]

    def _forget_name(self, row: int) -> None:
        del self._names[bisect_left(self._names, (*self.name(row), row))]

    def _claim(self, number: int) -> int:
        if number in self.row_of:
            return self.row_of[number]
        if self._free:
            row = self._free.pop()
        else:
            row = len(self.profiles)
            self.profiles.append(None)
            self.digests.append(b"")
            self.columns.reserve(row + 1)
        self.row_of[number] = row
        return row


class Book:
    """The live posts of an exchange.

    Parameters
    ----------
    taxonomy
        The terms that posts may use.
    text_model
        Version, dimension and calibration of the vectors that are put in.
    weights, bands
        What components count, and what scores are called.

    Notes
    -----
    All methods may be called from several threads. A day is always an argument: the book has no
    clock. Vectors of another text model are refused by their length; a changed model, taxonomy or
    weighting makes a new book.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        text_model: TextLikeness,
        weights: Weights | None = None,
        bands: Bands | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.weights = weights or Weights()
        self.bands = bands or Bands()
        self.scale = TextScale(text_model.calibrate, text_model.version)
        self.dimension = text_model.dimension
        self._text_model = text_model
        self._forms = forms = Forms(taxonomy, self.weights)
        self._text = TextBound.of(self.scale, forms.points("text"))
        self._needs: Shelf[NeedProfile] = Shelf(
            "need",
            need_columns(taxonomy, self.dimension, forms.width),
            lambda columns, row, need, text: write_need(columns, row, need, text, taxonomy),
            lambda columns: {
                "form": forms.of_needs(columns),
                "limits": forms.limits_of_needs(columns),
            },
        )
        self._offers: Shelf[OfferProfile] = Shelf(
            "offer",
            offer_columns(taxonomy, self.dimension, forms.width),
            lambda columns, row, offer, text: write_offer(columns, row, offer, text, taxonomy),
            lambda columns: {
                "form": forms.of_offers(columns),
                "limits": forms.limits_of_offers(columns),
                "place_points": forms.places(columns),
            },
        )
        self._conflicts: frozenset[tuple[int, int]] = frozenset()
        self._dismissed: frozenset[tuple[int, int]] = frozenset()
        self._lock = RLock()

    def __repr__(self) -> str:
        return f"<Book of {len(self.needs)} needs and {len(self.offers)} offers>"

    @property
    def needs(self) -> tuple[NeedProfile, ...]:
        """The live needs, by reference, then id."""
        with self._lock:
            return tuple(self._needs.profile(row) for row in self._needs.in_order())

    @property
    def offers(self) -> tuple[OfferProfile, ...]:
        """The live offers, by reference, then id."""
        with self._lock:
            return tuple(self._offers.profile(row) for row in self._offers.in_order())

    def need(self, need_id: int) -> NeedProfile:
        """One need; raises ``UnknownPost``."""
        return self._needs.profile(self._needs.row(need_id))

    def offer(self, offer_id: int) -> OfferProfile:
        """One offer; raises ``UnknownPost``."""
        return self._offers.profile(self._offers.row(offer_id))

    def with_weights(self, weights: Weights, bands: Bands | None = None) -> "Book":
        """A book of the same posts under other weights: for a dry run before they are adopted."""
        with self._lock:
            other = Book(self.taxonomy, self._text_model, weights, bands or self.bands)
            self._needs.copy_to(other._needs)
            self._offers.copy_to(other._offers)
            other.keep_apart(conflicts=self._conflicts, dismissed=self._dismissed)
            return other

    def put_need(self, need: NeedProfile, vector: NDArray[np.floating[Any]] | None) -> None:
        """Put in a need, or replace the one of the same id.

        Parameters
        ----------
        vector
            (dimension,) of its text, of length at most 1; zero or ``None`` where it has no text.

        Raises
        ------
        ProfileError
            An unknown code, or a vector that is not finite, too long or of another model's length;
            the book is left as it was.
        """
        self.put_needs([need], None if vector is None else np.asarray(vector)[None])

    def put_offer(self, offer: OfferProfile, vector: NDArray[np.floating[Any]] | None) -> None:
        """Put in an offer, or replace the one of the same id; see ``put_need``."""
        self.put_offers([offer], None if vector is None else np.asarray(vector)[None])

    def put_needs(
        self, needs: Sequence[NeedProfile], vectors: NDArray[np.floating[Any]] | None
    ) -> None:
        """Put in many needs at a time; `vectors` is (n, dimension)."""
        grid = self._checked(needs, vectors)
        with self._lock:
            self._needs.put(needs, grid)

    def put_offers(
        self, offers: Sequence[OfferProfile], vectors: NDArray[np.floating[Any]] | None
    ) -> None:
        """Put in many offers at a time; `vectors` is (n, dimension)."""
        grid = self._checked(offers, vectors)
        with self._lock:
            self._offers.put(offers, grid)

    def remove_need(self, need_id: int) -> None:
        """Take a need out; raises ``UnknownPost``."""
        with self._lock:
            self._needs.remove(need_id)

    def remove_offer(self, offer_id: int) -> None:
        """Take an offer out; raises ``UnknownPost``."""
        with self._lock:
            self._offers.remove(offer_id)

    def keep_apart(
        self,
        *,
        conflicts: Iterable[tuple[int, int]] | None = None,
        dismissed: Iterable[tuple[int, int]] | None = None,
    ) -> None:
        """Say which (need id, offer id) pairs must not be matched; what is given replaces the old.

        Parameters
        ----------
        conflicts
            Pairs with a conflict of interest.
        dismissed
            Pairs that a side has turned down.
        """
        with self._lock:
            if conflicts is not None:
                self._conflicts = frozenset(conflicts)
            if dismissed is not None:
                self._dismissed = frozenset(dismissed)

    def rank_offers(
        self, need_id: int, k: int = 20, *, on: date, all_pairs: bool = False
    ) -> Ranking:
        """Find the best offers for a need.

        Parameters
        ----------
        k
            How many at most.
        on
            The day in question.
        all_pairs
            Whether offers that break a rule are listed too, after the others.
        """
        with self._lock:
            needs = self._needs.single(need_id)
            return self._rank("need", needs, self._offers.view(), k, on, all_pairs)

    def rank_needs(
        self, offer_id: int, k: int = 20, *, on: date, all_pairs: bool = False
    ) -> Ranking:
        """Find the best needs for an offer; see ``rank_offers``."""
        with self._lock:
            offers = self._offers.single(offer_id)
            return self._rank("offer", self._needs.view(), offers, k, on, all_pairs)

    def preview(
        self,
        profile: NeedProfile | OfferProfile,
        vector: NDArray[np.floating[Any]] | None,
        k: int = 20,
        *,
        on: date,
    ) -> Ranking:
        """Rank partners for a post that is not in the book; it is taken to be published.

        The book is not changed. Pairs that are kept apart under its id stay apart.
        """
        grid = self._checked([profile], None if vector is None else np.asarray(vector)[None])
        with self._lock:
            if isinstance(profile, NeedProfile):
                needs = self._needs.alone(replace(profile, published=True), grid[0])
                return self._rank("need", needs, self._offers.view(), k, on, False)
            offers = self._offers.alone(replace(profile, published=True), grid[0])
            return self._rank("offer", self._needs.view(), offers, k, on, False)

    def explain(
        self,
        need_id: int,
        offer_id: int,
        *,
        on: date,
        text: TextEvidence | None = None,
    ) -> Explanation:
        """Take a pair's score apart; the same numbers as in any ranking.

        Parameters
        ----------
        text
            What the texts have in common, to be shown with the text's contribution.
        """
        with self._lock:
            need, offer, likeness = self._pair(need_id, offer_id)
            return explain.explain(
                need,
                offer,
                self.taxonomy,
                self.weights,
                self.bands,
                likeness,
                failures=self._failures(need, offer, on),
                text=text,
            )

    def what_would_change(self, need_id: int, offer_id: int, *, on: date) -> tuple[Change, ...]:
        """Find the single edits that would raise a pair's score most, the greatest gain first."""
        with self._lock:
            need, offer, likeness = self._pair(need_id, offer_id)
            return explain.what_would_change(
                need,
                offer,
                self.taxonomy,
                self.weights,
                likeness,
                on=on,
                conflicts=self._conflicts,
                dismissed=self._dismissed,
            )

    def why_not(self, need_id: int, offer_id: int, *, on: date) -> WhyNot:
        """Name every rule that a pair breaks, and where it would have ranked without them."""
        with self._lock:
            needs, offers = self._needs.single(need_id), self._offers.view()
            broken = self._broken(needs, offers, on)
            possible = np.flatnonzero(~np.any(list(broken.values()), axis=0))
            own = self._offers.row(offer_id)
            totals = self._totals(needs, offers, possible)
            score = int(self._totals(needs, offers, np.array([own]))[0])
            name = self._offers.name(own)
            ahead = int(np.count_nonzero(totals > score)) + sum(
                self._offers.name(other) < name for other in possible[totals == score].tolist()
            )
            failures = self._failures(self.need(need_id), self.offer(offer_id), on)
            return WhyNot(need_id, offer_id, failures, score, ahead + 1, len(possible))

    def ledger(self, need_id: int, *, on: date) -> Ledger:
        """List all offers that are ruled out for a need, by rule."""
        with self._lock:
            needs, offers = self._needs.single(need_id), self._offers.view()
            order = np.array(self._offers.in_order(), np.int64)
            broken = self._broken(needs, offers, on)
            del broken["removed"]
            by_rule = {
                rule: tuple(offers["id"][order[flags[order]]].tolist())
                for rule, flags in broken.items()
                if flags[order].any()
            }
            out = np.any([flags[order] for flags in broken.values()], axis=0)
            excluded = int(np.count_nonzero(out))
            return Ledger(need_id, by_rule, excluded, len(order) - excluded)

    def component_similarities(
        self, pairs: Sequence[tuple[int, int]]
    ) -> tuple[dict[str, float], ...]:
        """Similarity of each component for some (need id, offer id) pairs: what weights multiply.

        Neutral values stand in for what is not stated. Learning starts from these.
        """
        with self._lock:
            found = []
            for need_id, offer_id in pairs:
                need, offer, likeness = self._pair(need_id, offer_id)
                parts = similarities(need, offer, self.taxonomy, likeness)
                found.append({name: component_similarity(name, parts) for name in COMPONENTS})
            return tuple(found)

    def plan(self, k: int = 20, *, on: date, rows: int = ROWS) -> Plan:
        """Freeze the book for a run: see ``run.run_blocks``, ``run.gather`` and ``run.Plan``.

        Parameters
        ----------
        rows
            Needs of a block; changes nothing in the result.
        """
        if k < 1:
            raise ValueError(f"a run for the best {k} says nothing: k must be at least 1")
        with self._lock:
            day = on.toordinal()
            need_rows = np.flatnonzero(open_needs(self._needs.view(), day))
            offer_rows = np.flatnonzero(open_offers(self._offers.view(), day))
            needs = self._needs.columns.take(need_rows)
            return plan_run(
                needs,
                self._offers.columns.take(offer_rows),
                [self._needs.name(row)[0] for row in need_rows.tolist()],
                [self._offers.name(row)[0] for row in offer_rows.tolist()],
                self._conflicts | self._dismissed,
                absent=set(self._needs.row_of) - set(needs["id"].tolist()),
                taxonomy=self.taxonomy,
                text=self._text,
                scale=self.scale,
                weights=self.weights,
                bands=self.bands,
                best=k,
                versions=self._versions(on, k),
                rows=rows,
            )

    def run(
        self,
        k: int = 20,
        *,
        on: date,
        progress: Progress | None = None,
        workers: int | None = None,
    ) -> MatchRun:
        """Match the whole book: the best k offers of every need.

        The book may change meanwhile; the run sees it as it was.

        Parameters
        ----------
        progress
            Told now and then how many needs are done, of how many.
        workers
            Threads; by default one a processor. The result does not depend on it.
        """
        return complete(self.plan(k, on=on), progress=progress, workers=workers)

    def _checked(
        self,
        profiles: Sequence[NeedProfile | OfferProfile],
        vectors: NDArray[np.floating[Any]] | None,
    ) -> Vector:
        for profile in profiles:
            self.taxonomy.check(profile)
        if vectors is None:
            return np.zeros((len(profiles), self.dimension), np.float32)
        if vectors.shape != (len(profiles), self.dimension):
            raise ProfileError("bad_vector", "vector", vectors.shape)
        return self.scale.to_grid(vectors)

    def _pair(self, need_id: int, offer_id: int) -> tuple[NeedProfile, OfferProfile, float | None]:
        need, offer = self.need(need_id), self.offer(offer_id)
        likeness = self.scale.likeness_of(
            self._needs.columns["text"][self._needs.row(need_id)],
            self._offers.columns["text"][self._offers.row(offer_id)],
        )
        return need, offer, likeness

    def _failures(
        self, need: NeedProfile, offer: OfferProfile, on: date
    ) -> tuple[eligibility.RuleFailure, ...]:
        return eligibility.why_not(
            need,
            offer,
            self.taxonomy,
            on=on,
            conflicts=self._conflicts,
            dismissed=self._dismissed,
        )

    def _rank(
        self, side: Side, needs: Columns, offers: Columns, k: int, on: date, all_pairs: bool
    ) -> Ranking:
        """Rank the partners of one post: one of the two columns has a single row."""
        if k < 1:
            raise ValueError(f"a ranking of the best {k} says nothing: k must be at least 1")
        shelf: Shelf[Any] = self._offers if side == "need" else self._needs
        if all_pairs:
            broken = self._broken(needs, offers, on)
            removed = broken.pop("removed")
            barred = np.any(list(broken.values()), axis=0)
            chosen = np.flatnonzero(~removed)
            count = int(np.count_nonzero(~barred[chosen]))
            totals = self._totals(needs, offers, chosen)
        else:
            barred, chosen, totals = self._best(needs, offers, k, on)
            count = int(np.count_nonzero(~barred))
        found = sorted(
            zip(chosen.tolist(), totals.tolist(), strict=True),
            key=lambda pair: (bool(barred[pair[0]]), -pair[1], shelf.name(pair[0])),
        )
        own = int(needs["id"][0]) if side == "need" else int(offers["id"][0])
        matches = []
        for place, (row, total) in enumerate(found[:k], start=1):
            other = shelf.profile(row).id
            need_id, offer_id = (own, other) if side == "need" else (other, own)
            band, possible = self.bands.name(total), not barred[row]
            matches.append(Ranked(place, need_id, offer_id, total, band, possible))
        best = max((total for row, total in found if not barred[row]), default=-1)
        nobody = best < 0 or self.bands.name(best) == "weak"
        return Ranking(tuple(matches), nobody, count)

    def _best(
        self, needs: Columns, offers: Columns, k: int, on: date
    ) -> tuple[NDArray[np.bool_], Rows, NDArray[np.int64]]:
        """Which partners of a single post are barred, which may be its best, and their scores."""
        tables = Tables(needs, offers, offers["place_points"].T, self._text)
        bounds, inner = bound_row(tables)
        day = on.toordinal()
        barred = (bounds < BARRED / 2) | ~open_needs(needs, day) | ~open_offers(offers, day)
        barred |= needs["closes"] < offers["opens"]
        barred |= needs["places"] < offers["places_least"]
        barred |= (needs["organisation"] != 0) & (needs["organisation"] == offers["organisation"])
        for kept_apart in (self._conflicts, self._dismissed):
            barred |= self._apart(needs, offers, kept_apart)
        bounds[barred] = BARRED

        def pairs(alone: Rows, others: Rows) -> tuple[Rows, Rows]:
            return (alone, others) if len(needs) == 1 else (others, alone)

        if not len(bounds):
            return barred, np.zeros(0, np.int64), np.zeros(0, np.int64)
        wide = in_groups(bounds[None], k)
        alone, chosen, products = find_best(tables, pairs, wide, inner[None], k)
        likeness = self.scale.likeness(products)
        totals = pair_totals(needs, offers, *pairs(alone, chosen), self.weights, likeness)
        return barred, chosen, totals

    def _apart(
        self, needs: Columns, offers: Columns, pairs: frozenset[tuple[int, int]]
    ) -> NDArray[np.bool_]:
        """Which partners of a single post are kept apart from it."""
        one, other = (needs, offers) if len(needs) == 1 else (offers, needs)
        number = int(one["id"][0])
        side = 0 if one is needs else 1
        named = [pair[1 - side] for pair in pairs if pair[side] == number]
        return np.isin(other["id"], named)

    def _broken(self, needs: Columns, offers: Columns, on: date) -> dict[str, NDArray[np.bool_]]:
        """Rules broken by one post with each of the others; ``removed`` marks freed rows."""
        rows = np.zeros(len(offers), np.int64) if len(needs) == 1 else np.arange(len(needs))
        columns = np.arange(len(offers)) if len(needs) == 1 else np.zeros(len(needs), np.int64)
        broken = broken_rules(needs, offers, rows, columns, on.toordinal())
        broken["conflict"] = self._apart(needs, offers, self._conflicts)
        broken["dismissed"] = self._apart(needs, offers, self._dismissed)
        broken["removed"] = ~(needs["live"] & offers["live"])
        return broken

    def _totals(self, needs: Columns, offers: Columns, chosen: Rows) -> NDArray[np.int64]:
        """Scores of one post with some of the others, in millionths of a point."""
        alone = np.zeros(len(chosen), np.int64)
        i, j = (alone, chosen) if len(needs) == 1 else (chosen, alone)
        likeness = pair_likeness(needs, offers, i, j, self.scale)
        return pair_totals(needs, offers, i, j, self.weights, likeness)

    def _versions(self, on: date, k: int) -> Versions:
        """What a run on a day depends on."""
        digest = hashlib.sha256()
        for said in (
            ENGINE_VERSION,
            self.weights.digest,
            self.scale.digest,
            self.taxonomy.digest,
            repr(self.bands),
            on.isoformat(),
            str(k),
            repr(sorted(self._conflicts)),
            repr(sorted(self._dismissed)),
        ):
            digest.update(hashlib.sha256(said.encode()).digest())
        for shelf in (self._needs, self._offers):
            digest.update(b"posts")
            for row in shelf.in_order():
                digest.update(shelf.digests[row])
        return Versions(
            engine=ENGINE_VERSION,
            weights=self.weights.version,
            bands=self.bands.version,
            text=self.scale.version,
            taxonomy=self.taxonomy.digest,
            day=on.isoformat(),
            best=k,
            digest=digest.hexdigest(),
        )
