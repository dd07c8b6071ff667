"""The whole way by API: post a need and an offer, match them, agree, sign.

Needs the tokens of three people: one of a government that asks, one of a provider that gives, one
of the secretariat that publishes. Try it on a demonstration exchange::

    python journey.py http://127.0.0.1:8000 "$ASKING" "$GIVING" "$SECRETARIAT"
"""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import Any

from client import Exchange


def in_days(number: int) -> str:
    """The day that lies so many days ahead, as the API writes it."""
    return (date.today() + timedelta(days=number)).isoformat()  # noqa: DTZ011


NEED = {
    "language": "es",
    "title": "Criterios de sostenibilidad en las compras de hospitales",
    "description": (
        "Los hospitales públicos compran equipos, limpieza y alimentos sin criterios ambientales. "
        "Se busca formar a sus compradores y preparar pliegos modelo que puedan usar enseguida."
    ),
    "support": [
        {"kind": "capacity_building", "modality": "workshop", "detail": "Dos talleres de tres días"}
    ],
    "themes": ["sustainable_public_procurement"],
    "ilac_areas": ["6"],
    "languages": ["es"],
    "places_wanted": 40,
    "starts": in_days(60),
    "ends": in_days(300),
}

OFFER = {
    "language": "en",
    "title": "Training in sustainable public procurement, with model tender documents",
    "description": (
        "Workshops for public buyers on criteria for goods and services, with exercises on the "
        "participants' own tenders and follow-up by e-mail."
    ),
    "support": [{"kind": "capacity_building", "modality": "workshop"}],
    "themes": ["sustainable_public_procurement"],
    "serves_subregions": ["regional"],
    "languages": ["es", "en"],
    "places": 60,
    "free": True,
    "starts": in_days(30),
    "ends": in_days(360),
}


def publish(author: Exchange, secretariat: Exchange, kind: str, post: dict[str, Any]) -> str:
    """Write a post, hand it in, and let the secretariat publish it; gives its address."""
    draft = author.make(f"/{kind}s", post)
    address: str = draft["links"]["self"]
    submitted = author.do(f"{address}/submit")
    if submitted["status"] == "submitted":
        secretariat.do_as_read("POST", address, "/publish")
    return address


def travel(asking: Exchange, giving: Exchange, secretariat: Exchange) -> dict[str, Any]:
    """Go the whole way; gives the signed agreement."""
    me = asking.read("/me")
    country = asking.read(f"/organisations/{me['organisation']['code']}")["country"]
    need = asking.read(publish(asking, secretariat, "need", {**NEED, "country": country}))
    offer = giving.read(publish(giving, secretariat, "offer", OFFER))
    print("posted:", need["reference"], offer["reference"])

    found = asking.read(need["links"]["matches"])
    match = next(row for row in found["items"] if row["offer"]["id"] == offer["id"])
    print(f"matched: {match['score']:.1f} points ({match['band']}): {match['reason_text']}")

    pair = f"/matches/{need['id']}/{offer['id']}"
    explained = asking.read(f"{pair}/explanation")
    total = sum(part["micro_points"] for part in explained["contributions"])
    print("explained exactly:", total == explained["micro_points"])

    asking.make(f"{pair}/interest", {"message": "¿Podemos empezar en el segundo semestre?"})
    giving.do(f"{pair}/answer", {"accept": True, "message": "Yes, gladly."})

    terms = {
        **giving.read(f"{pair}/terms"),
        "starts": in_days(60),
        "ends": in_days(300),
        "places": 40,
        "milestones": [{"title": "First workshop held", "due": in_days(120)}],
        "indicators": [{"name": "Buyers trained", "unit": "people", "baseline": 0, "target": 40}],
    }
    agreement = giving.make(f"{pair}/agreement", terms)
    address = agreement["links"]["self"]
    print("proposed:", agreement["reference"])

    read = {"number": agreement["terms_number"]}
    asking.do(f"{address}/accept", read)
    asking.do(f"{address}/sign", read)
    signed = giving.do(f"{address}/sign", read)
    print("signed:", signed["status"], "on", signed["signed_at"])

    giving.do(f"{address}/start")
    step = signed["milestones"][0]["id"]
    giving.do(f"{address}/milestones/{step}", {"evidence": "List of participants"})
    indicator = signed["indicators"][0]["id"] if signed["indicators"] else None
    if indicator is not None:
        report = {"on": in_days(0), "value": 22}
        giving.make(f"{address}/indicators/{indicator}/reports", report)
    return asking.read(address)


def main() -> None:
    """Go the whole way with the three tokens of the command line."""
    address, *tokens = sys.argv[1:]
    asking, giving, secretariat = (Exchange(address, token) for token in tokens)
    agreement = travel(asking, giving, secretariat)
    print("now:", agreement["status"], agreement["links"]["page"])


if __name__ == "__main__":
    main()
