"""Ranking a labelled folder with the production engine, to measure how well it ranks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from broker.encoder import load_encoder
from broker.engine import glossary_of, taxonomy_of
from broker.paths import FIXTURES
from broker.reference import Reference
from broker.reference_data import read_reference
from broker.settings import Settings
from matching import MICRO, Book, NeedProfile, OfferProfile, Taxonomy
from matching.evaluation import evaluate
from matching.text import Side, TextModel
from models import DomainError

ON = date(2027, 1, 1)
"""The day of every evaluation: dates in labelled folders are fixed, and so is the answer."""

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class LabelledFolder:
    """A labelled folder, read and put into the engine.

    Attributes
    ----------
    book : Book
        Its posts; a post's id is its line's number in its file, from 0.
    taxonomy : Taxonomy
        By which the book judges.
    grades : numpy.ndarray
        int64 (needs, offers); 0 where nothing is said.
    ignored : list of str
        Codes and keys that the exchange does not know, with how often they occur.
    """

    book: Book
    taxonomy: Taxonomy
    grades: np.ndarray
    ignored: list[str]


def read_folder(folder: Path, settings: Settings | None = None) -> LabelledFolder:
    """Read ``needs.jsonl``, ``offers.jsonl`` and ``qrels.tsv`` of a folder.

    Raises
    ------
    DomainError
        If a file is missing or a line cannot be read; names file and line.
    """
    settings = settings or Settings.from_environment()
    reference = read_reference(FIXTURES / "reference")
    ignored: Counter[str] = Counter()
    needs, offers = _rows(folder, "needs.jsonl"), _rows(folder, "offers.jsonl")
    grades = _grades(folder, needs, offers)
    taxonomy = taxonomy_of(reference)
    book = _book(needs, offers, reference, taxonomy, settings.encoder, ignored)
    notes = [f"{what} (×{count})" for what, count in sorted(ignored.items())]
    return LabelledFolder(book, taxonomy, grades, notes)


def evaluate_folder(
    folder: Path, settings: Settings | None = None
) -> tuple[dict[str, float | int], list[str]]:
    """Rank every offer of a labelled folder for every need, as the exchange would.

    Parameters
    ----------
    folder : Path
        With ``needs.jsonl``, ``offers.jsonl`` and ``qrels.tsv``: posts one a line with ``id``,
        ``lang``, ``title``, ``description`` and any keys of a post; need, offer and grade
        separated by tabs.

    Returns
    -------
    measures : dict
        ``ndcg@10``, ``recall@10``, ``mrr``, ``needs``, ``offers``.
    ignored : list of str
        Codes and keys that the exchange does not know, with how often they occur.

    Raises
    ------
    DomainError
        If a file is missing or a line cannot be read; names file and line.
    """
    found = read_folder(folder, settings)
    needs, offers = found.grades.shape
    scores = np.full((needs, offers), -np.inf)
    for number in range(needs):
        # Every offer is ranked; those that break a rule come after all others.
        ranking = found.book.rank_offers(number, offers, on=ON, all_pairs=True)
        for place, offer in enumerate(ranking):
            scores[number, offer.offer_id] = (
                offer.micro_points / MICRO if offer.eligible else -1.0 - place
            )
    result = evaluate(scores, found.grades)
    measures: dict[str, float | int] = {
        "ndcg@10": result.ndcg_at_10,
        "recall@10": result.recall_at_10,
        "mrr": result.mrr,
        "needs": result.needs,
        "offers": result.offers,
    }
    return measures, found.ignored


def _wrong(folder: Path, problem: str) -> DomainError:
    return DomainError("evaluation_folder", folder=str(folder), problem=problem)


def _rows(folder: Path, name: str) -> Rows:
    path = folder / name
    if not path.is_file():
        raise _wrong(folder, f"{name} is missing")
    rows: Rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise _wrong(folder, f"{name}:{number}: {error}") from error
        if not isinstance(row, dict) or "id" not in row:
            raise _wrong(folder, f"{name}:{number}: an object with an id is expected")
        rows.append(row)
    return rows


def _grades(folder: Path, needs: Rows, offers: Rows) -> np.ndarray:
    path = folder / "qrels.tsv"
    if not path.is_file():
        raise _wrong(folder, "qrels.tsv is missing")
    need_at = {str(row["id"]): number for number, row in enumerate(needs)}
    offer_at = {str(row["id"]): number for number, row in enumerate(offers)}
    grades = np.zeros((len(needs), len(offers)), np.int64)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split("\t")
        if len(cells) != 3 or not cells[2].strip().isdecimal():
            raise _wrong(folder, f"qrels.tsv:{number}: need, offer and grade are expected")
        need, offer, grade = cells
        if need not in need_at or offer not in offer_at:
            raise _wrong(folder, f"qrels.tsv:{number}: {need} or {offer} is in neither file")
        grades[need_at[need], offer_at[offer]] = int(grade)
    return grades


def _book(
    needs: Rows,
    offers: Rows,
    reference: Reference,
    taxonomy: Taxonomy,
    encoder_name: str,
    ignored: Counter[str],
) -> Book:
    encoder = load_encoder(encoder_name)
    model = TextModel(encoder.name if encoder else None, glossary_of(reference))
    book = Book(taxonomy, model)

    def features(rows: Rows, side: Side) -> np.ndarray:
        titles = [str(row.get("title") or "") for row in rows]
        bodies = [_body(row) for row in rows]
        vectors = None
        if encoder is not None:
            sources = [model.source(t, b) for t, b in zip(titles, bodies, strict=True)]
            vectors = encoder.encode(sources, model.role(side))
        languages = [row.get("lang") or row.get("language") for row in rows]
        return model.features_many(titles, bodies, languages, side, vectors)

    read = _Facets(
        reference, ignored, _numbers(row.get("organisation") for row in (*needs, *offers))
    )
    book.put_needs([read.need(n, row) for n, row in enumerate(needs)], features(needs, "need"))
    book.put_offers([read.offer(n, row) for n, row in enumerate(offers)], features(offers, "offer"))
    return book


def _body(row: Mapping[str, Any]) -> str:
    parts = [row.get("description"), row.get("problem"), row.get("results")]
    details = [item.get("detail") for item in row.get("support") or [] if isinstance(item, dict)]
    return "\n".join(str(part) for part in (*parts, *details) if part)


def _numbers(codes: Iterable[Any]) -> dict[str, int]:
    """Number codes from 1 in the order of their signs; nought stays for a post without one."""
    known = sorted({str(code) for code in codes if code not in (None, "")})
    return {code: number for number, code in enumerate(known, 1)}


class _Facets:
    """Reads the facets of a labelled post; what the exchange does not know is counted."""

    KNOWN = frozenset(
        [
            "id",
            "lang",
            "language",
            "title",
            "description",
            "problem",
            "results",
            "support",
            "themes",
            "ilac_areas",
            "support_kinds",
            "modalities",
            "programmes",
            "mandates",
            "dimension",
            "horizon",
            "country",
            "countries",
            "subregion",
            "subregions",
            "languages",
            "starts",
            "ends",
            "closes",
            "opens",
            "organisation_kind",
            "organisation_country",
            "serves_countries",
            "serves_subregions",
            "serves_organisation_kinds",
            "outside_region_only",
            "own_country",
            "money_least",
            "money_most",
            "places_wanted",
            "places",
            "places_left",
            "places_per_beneficiary",
            "money_left",
            "grant_least",
            "grant_most",
            "experience_countries",
            "pilot",
            "level",
            "organisation",
            "currency",
        ]
    )

    def __init__(
        self, reference: Reference, ignored: Counter[str], organisations: Mapping[str, int]
    ) -> None:
        self.reference = reference
        self.ignored = ignored
        self.organisations = organisations
        self.rates = {code: c.usd_rate for code, c in reference.currencies.items()}

    def need(self, number: int, row: Mapping[str, Any]) -> NeedProfile:
        """The profile of a need; its number in the file is its id."""
        countries = self._codes(row, "countries", "country") or self._codes(
            row, "country", "country"
        )
        places = self._codes(row, "subregions", "subregion") or self._codes(
            row, "subregion", "subregion"
        )
        return NeedProfile(
            **self._common(number, row),
            country=min(countries, default=None),
            subregion=min(places, default=None),
            organisation_kind=self._code(row, "organisation_kind", "organisation_kind"),
            money_least=self._number(row, "money_least"),
            money_most=self._number(row, "money_most"),
            places_wanted=self._whole(row, "places_wanted"),
            closes=self._day(row, "closes"),
        )

    def offer(self, number: int, row: Mapping[str, Any]) -> OfferProfile:
        """The profile of an offer; ``countries`` and ``subregions`` are those that it serves."""
        return OfferProfile(
            **self._common(number, row),
            organisation_country=self._code(row, "organisation_country", "country"),
            serves_countries=self._codes(row, "serves_countries", "country")
            | self._codes(row, "countries", "country"),
            serves_subregions=self._codes(row, "serves_subregions", "subregion")
            | self._codes(row, "subregions", "subregion"),
            outside_region_only=bool(row.get("outside_region_only")),
            serves_organisation_kinds=self._codes(
                row, "serves_organisation_kinds", "organisation_kind"
            ),
            own_country=bool(row.get("own_country")),
            opens=self._day(row, "opens"),
            closes=self._day(row, "closes"),
            places_left=self._whole(row, "places_left") or self._whole(row, "places"),
            places_per_beneficiary=self._whole(row, "places_per_beneficiary"),
            money_left=self._number(row, "money_left"),
            grant_least=self._number(row, "grant_least"),
            grant_most=self._number(row, "grant_most"),
            experience_countries=self._codes(row, "experience_countries", "country"),
            pilot=bool(row.get("pilot")),
        )

    def _common(self, number: int, row: Mapping[str, Any]) -> dict[str, Any]:
        for key in row:
            if key not in self.KNOWN:
                self.ignored[f"key “{key}”"] += 1
        kinds = self._codes(row, "support_kinds", "support_kind")
        modalities = self._codes(row, "modalities", "support_kind")
        for item in row.get("support") or []:
            if isinstance(item, dict):
                kinds |= self._codes(item, "kind", "support_kind")
                modalities |= self._codes(item, "modality", "support_kind")
        terms = self.reference.terms["support_kind"]
        parents = {code: terms[code].parent for code in kinds | modalities}
        return {
            "id": number,
            "reference": str(row["id"]),
            "organisation": self.organisations.get(str(row.get("organisation")), 0),
            "language": row.get("lang") or row.get("language"),
            "themes": self._codes(row, "themes", "theme"),
            "ilac_areas": self._codes(row, "ilac_areas", "ilac_area"),
            "support_kinds": frozenset(parents[code] or code for code in kinds | modalities),
            "modalities": frozenset(code for code in kinds | modalities if parents[code]),
            "programmes": self._codes(row, "programmes", "programme"),
            "mandates": self._codes(row, "mandates", "mandate"),
            "dimension": self._code(row, "dimension", "dimension"),
            "horizon": self._code(row, "horizon", "horizon"),
            "languages": self._codes(row, "languages", "language"),
            "starts": self._day(row, "starts"),
            "ends": self._day(row, "ends"),
        }

    def _codes(self, row: Mapping[str, Any], key: str, scheme: str) -> frozenset[str]:
        value = row.get(key)
        values = value if isinstance(value, list) else [] if value in (None, "") else [value]
        known = set(self.reference.codes(scheme))
        found = {str(code) for code in values}
        for code in found - known:
            self.ignored[f"{key}: “{code}”"] += 1
        return frozenset(found & known)

    def _code(self, row: Mapping[str, Any], key: str, scheme: str) -> str | None:
        return min(self._codes(row, key, scheme), default=None)

    def _read(self, row: Mapping[str, Any], key: str, read: Callable[[Any], Any]) -> Any:
        value = row.get(key)
        if value in (None, ""):
            return None
        try:
            return read(value)
        except (TypeError, ValueError):
            self.ignored[f"{key}: “{value}”"] += 1
            return None

    def _number(self, row: Mapping[str, Any], key: str) -> float | None:
        """An amount; labelled folders give US dollars, or say another ``currency``."""
        number = self._read(row, key, float)
        if number is None or not np.isfinite(number) or number < 0:
            return None
        return float(number) * self.rates.get(str(row.get("currency", "USD")), 1.0)

    def _whole(self, row: Mapping[str, Any], key: str) -> int | None:
        number = self._read(row, key, int)
        return number if number is not None and number >= 0 else None

    def _day(self, row: Mapping[str, Any], key: str) -> date | None:
        found = self._read(row, key, date.fromisoformat)
        return found if isinstance(found, date) else None
