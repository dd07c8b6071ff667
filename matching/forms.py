"""What no score exceeds, but for the texts, as one inner product.

Comparisons of sets, of codes and of neutral values are linear in what one side says, given the
other: a need and an offer each become a vector, its *form*, and the matrix product of a block of
needs with a block of offers bounds their scores in points. Places are added by the place of the
need. Days, money and places to be given count in full where both sides state them; ``limits`` say
what of that is to be taken back from a pair. Rules on codes enter as ``BARRED``.
"""

from dataclasses import dataclass

import numpy as np

from matching.columns import LIMITS, NONE, NOT_SERVED, Columns
from matching.place import FULL
from matching.score import COVERAGE, FOCUS, MICRO, PARTS, Vector, Weights
from matching.taxonomy import SAME, Taxonomy

BARRED = -1000.0
"""Points of a pair that breaks a rule; any score below ``BARRED / 2`` is such a pair's."""
MARGIN = 0.005
"""Points by which two scores in single precision may differ that are equal in truth."""

LINEAR_SETS = ("themes", "ilac_areas", "modalities", "programmes")
"""Facets compared as sets that are linear term by term; support kinds are taken whole."""
OVERLAPS = ("period", "money", "places")
"""Parts that the form grants in full where both sides state them."""
FAR = 1e9
"""Days further off than any date; exact sums of dates stay below 2²⁴ without it."""
PLENTY = 1e18
"""More money or places than any post can state."""


@dataclass(frozen=True)
class Forms:
    """Turns columns into the vectors of which products are scores.

    Parameters
    ----------
    taxonomy, weights
        What there is to compare, and what each comparison counts.
    """

    taxonomy: Taxonomy
    weights: Weights

    def points(self, part: str) -> float:
        """Points that a part can give at most."""
        component, found = PARTS[part]
        return self.weights.micro_points()[component] / MICRO * found.share

    def neutral(self, part: str) -> float:
        """Points that a part gives where a side leaves it open."""
        return self.points(part) * PARTS[part][1].neutral

    @property
    def width(self) -> int:
        """Length k of the vectors."""
        sets = sum(2 * len(getattr(self.taxonomy, name)) + 1 for name in LINEAR_SETS)
        whole = 2 ** len(self.taxonomy.support_kinds) + 2 ** len(self.taxonomy.languages)
        single = len(self.taxonomy.dimensions) + len(self.taxonomy.horizons) + 2
        single += len(self.taxonomy.organisation_kinds) + 1
        return int(sets + whole + single + len(OVERLAPS) + 2)

    def of_needs(self, needs: Columns) -> Vector:
        """Make the vectors of needs, (n, k) float32."""
        count = len(needs)
        silent = np.zeros(count)
        blocks: list[np.ndarray] = []
        for name in LINEAR_SETS:
            stated = needs.count(name) > 0
            share = 1 / np.maximum(needs.count(name), 1)
            blocks += [
                needs.terms(name) * share[:, None],
                needs.near(name) / SAME,
                stated[:, None],
            ]
            silent += ~stated * self.neutral(name)
            if name == "themes":
                silent += ~stated * self.neutral("experience_themes")
        blocks.append(_one_of(needs.masks("support_kinds"), 2 ** len(self.taxonomy.support_kinds)))
        blocks.append(_one_of(_mask(needs["languages"]), 2 ** len(self.taxonomy.languages)))
        blocks.append(_one_of(needs["dimension"] + 1, len(self.taxonomy.dimensions) + 1))
        blocks.append(_one_of(needs["horizon"] + 1, len(self.taxonomy.horizons) + 1))
        asking = len(self.taxonomy.organisation_kinds) + 1
        blocks.append(_one_of(needs["organisation_kind"] + 1, asking))
        for name, stated in self._overlaps(needs, "wanted").items():
            blocks.append(stated[:, None])
            silent += ~stated * self.neutral(name)
        blocks.append(needs["text_stated"][:, None])
        silent += ~needs["text_stated"] * self.neutral("text")
        blocks.append(silent[:, None])
        return np.hstack(blocks).astype(np.float32)

    def of_offers(self, offers: Columns) -> Vector:
        """Make the vectors of offers, (m, k) float32."""
        count = len(offers)
        blocks: list[np.ndarray] = []
        for name in LINEAR_SETS:
            near, flags, open_ = self._set_form(offers, name)
            if name == "themes":
                more = self._set_form(offers, "experience_themes")
                near, flags, open_ = near + more[0], flags + more[1], open_ + more[2]
            blocks += [near, flags, open_[:, None]]
        blocks.append(self._kinds_form(offers))
        blocks.append(self._languages_form(offers))
        blocks.append(self._dimension_form(offers))
        blocks.append(self._horizon_form(offers))
        refused = offers["kinds_restricted"][:, None] & ~offers["kinds_served"]
        blocks.append(np.zeros((count, 1)))
        blocks.append(refused * BARRED)
        for name, stated in self._overlaps(offers, "available").items():
            blocks.append(np.where(stated, self.points(name), self.neutral(name))[:, None])
        blocks.append((~offers["text_stated"] * self.neutral("text"))[:, None])
        blocks.append(np.ones((count, 1)))
        return np.hstack(blocks).astype(np.float32)

    def limits_of_needs(self, needs: Columns) -> Vector:
        """What a need sets against an offer's days, money and places, (n, LIMITS) float32.

        First day, last day, a share a day, points of the period; a share a dollar, a share whatever
        the money, most money, points of money; a share a place, a share whatever the places, points
        of places; 1 where the text is stated. Shares are of what is wanted; what is not stated is
        met in full by anything.
        """
        period, money, places = self._overlaps(needs, "wanted").values()
        days = np.maximum(needs["ends"].astype(np.float64) - needs["starts"] + 1, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns = [
                np.where(period, needs["starts"], -FAR),
                np.where(period, needs["ends"], FAR),
                np.where(period, 1 / days, 1),
                np.full(len(needs), self.points("period")),
                np.where(money, 1 / needs["wanted"], 0),
                ~money,
                np.where(money, np.minimum(needs["money_most"], PLENTY), PLENTY),
                np.full(len(needs), self.points("money")),
                np.where(places, 1 / needs["places"], 0),
                ~places,
                np.full(len(needs), self.points("places")),
                needs["text_stated"],
            ]
        return np.stack(columns, axis=1).astype(np.float32)

    def limits_of_offers(self, offers: Columns) -> Vector:
        """What an offer sets against a need's, (m, LIMITS) float32, see ``limits_of_needs``.

        First day, last day; money; its smallest grant, inverted; places; 1 where the text is
        stated; nothing in the other columns.
        """
        period, money, places = self._overlaps(offers, "available").values()
        least = offers["grant_least"]
        limits = np.zeros((len(offers), LIMITS), np.float32)
        limits[:, 0] = np.where(period, offers["starts"], -FAR)
        limits[:, 1] = np.where(period, offers["ends"], FAR)
        limits[:, 2] = np.where(money, offers["available"], PLENTY)
        with np.errstate(divide="ignore"):
            limits[:, 3] = np.where(money & (least > 0), 1 / least, PLENTY)
        limits[:, 4] = np.where(places, offers["places"], PLENTY)
        limits[:, 5] = offers["text_stated"]
        return limits

    def places(self, offers: Columns) -> Vector:
        """Points of offers by the place of a need, with what bars them there.

        Returns
        -------
        float32 (m, places + 1): a column for each of ``taxonomy.places`` and a last one for needs
        that state none.
        """
        reached = offers["reach"].T
        table = np.where(
            offers["states_place"], reached * (self.points("place") / FULL), self.neutral("place")
        )
        table += np.where(
            offers["experience_stated"],
            offers["experience"].T * (self.points("experience_countries") / FULL),
            self.neutral("experience_countries"),
        )
        table[-1] = self.neutral("place") + self.neutral("experience_countries")
        table[reached == NOT_SERVED] = BARRED
        barred = np.flatnonzero(offers["barred_country"] != NONE)
        table[offers["barred_country"][barred], barred] = BARRED
        return np.ascontiguousarray(table.T, dtype=np.float32)

    @staticmethod
    def _overlaps(columns: Columns, money: str) -> dict[str, np.ndarray]:
        """Which posts state their period, money (column `money`) and places."""
        return {
            "period": columns["period"],
            "money": ~np.isnan(columns[money]),
            "places": ~np.isnan(columns["places"]),
        }

    def _set_form(self, offers: Columns, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        count = offers.count(part)
        points = self.points(part)
        near = offers.near(part) * (points * COVERAGE / SAME)
        flags = offers.terms(part) * (points * FOCUS / np.maximum(count, 1))[:, None]
        return near, flags, (count == 0) * self.neutral(part)

    def _kinds_form(self, offers: Columns) -> np.ndarray:
        """Points by the set of kinds that a need asks for; sets with none in common are barred."""
        size = len(self.taxonomy.support_kinds)
        masks = np.arange(2**size)
        flags = (masks[:, None] >> np.arange(size)) & 1
        common = flags @ flags.T
        counts = np.maximum(flags.sum(axis=1), 1)
        points = self.points("support_kinds")
        table = points * (COVERAGE * common / counts[:, None] + FOCUS * common / counts[None, :])
        table[common == 0] = BARRED
        table[0, :] = table[:, 0] = self.neutral("support_kinds")
        return np.asarray(table.T[offers.masks("support_kinds")])

    def _languages_form(self, offers: Columns) -> np.ndarray:
        masks = np.arange(2 ** len(self.taxonomy.languages))
        table = np.where(masks[:, None] & masks[None, :], self.points("languages"), 0.0)
        table[0, :] = table[:, 0] = self.neutral("languages")
        return np.asarray(table[_mask(offers["languages"])])

    def _dimension_form(self, offers: Columns) -> np.ndarray:
        table = np.eye(len(self.taxonomy.dimensions) + 1) * self.points("dimension")
        table[0, :] = table[:, 0] = self.neutral("dimension")
        return np.asarray(table[offers["dimension"] + 1])

    def _horizon_form(self, offers: Columns) -> np.ndarray:
        order = np.arange(len(self.taxonomy.horizons) + 1)
        apart = np.abs(order[:, None] - order[None, :])
        table = np.maximum(1 - 0.5 * apart, 0) * self.points("horizon")
        table[0, :] = table[:, 0] = self.neutral("horizon")
        return np.asarray(table[offers["horizon"] + 1])


def _mask(flags: np.ndarray) -> np.ndarray:
    return np.asarray(flags @ (1 << np.arange(flags.shape[1])))


def _one_of(position: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(np.arange(size) == position[:, None])
