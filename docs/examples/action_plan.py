"""The action plan by API: write a line, report how far it is, choose it, and take out the matrix.

Needs the tokens of a country's focal point and of the coordinator of its subregion. Try it on a
demonstration exchange::

    python action_plan.py http://127.0.0.1:8000 "$FOCAL" "$COORDINATOR" 2029
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

from client import Exchange, Problem

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

LINE = {
    "language": "es",
    "dimension": "1",
    "horizon": "short",
    "priority": "Compras públicas con criterios de sostenibilidad",
    "results": "Los ministerios compran papel, limpieza e iluminación con criterios ambientales.",
    "themes": ["sustainable_public_procurement"],
    "indicators": [
        {"name": "Ministerios con criterios", "baseline": 2, "target": 10, "due": "2030-12-31"}
    ],
}


def plan_of(keeper: Exchange, scope: str, starts: int) -> dict[str, Any]:
    """The plan of a country or subregion for a cycle; opened where there is none yet."""
    for plan in keeper.all("/plans", scope=scope, starts=starts):
        return plan
    return keeper.make("/plans", {"scope": scope, "starts": starts})


def send_matrix(keeper: Exchange, plan: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Bring a matrix back as it was filled in; all of it is kept, or nothing."""
    address = f"{plan['links']['self']}/matrix"
    told: dict[str, Any] = keeper.ask(
        "POST", address, data=content, headers={"Content-Type": XLSX}
    ).json()
    return told


def meet(focal: Exchange, coordinator: Exchange, starts: int) -> bytes:
    """What a country and its subregion do before and at a meeting; gives the matrix as XLSX."""
    me = focal.read("/me")
    country = focal.read(f"/organisations/{me['organisation']['code']}")["country"]
    plan = plan_of(focal, country, starts)
    line = focal.make(f"{plan['links']['self']}/lines", LINE)
    address = line["links"]["self"]
    print("written:", line["priority"])

    for post in focal.read(f"{address}/suggested")["items"]:
        line = focal.make(f"{address}/links", {"reference": post["reference"]})
    actors = [actor["name"] for actor in line["from_exchange"]["actors"]]
    print("actors, from the exchange:", ", ".join(actors) or "none yet")

    indicator = line["indicators"][0]["id"]
    report = {"on": date.today().isoformat(), "value": 6, "note": "Encuesta a los ministerios"}  # noqa: DTZ011
    line = focal.make(f"{address}/indicators/{indicator}/reports", report)
    print(f"on the way to the target: {line['indicators'][0]['progress']:.0%}")

    countries = {row["code"]: row for row in focal.read("/countries")["items"]}
    subregion = plan_of(coordinator, countries[country]["subregion"], starts)
    found = coordinator.read(f"{subregion['links']['self']}/candidates")["items"]
    evidence = next(row for row in found if row["line"]["id"] == line["id"])
    reason = f"Open needs of the subregion on its themes: {evidence['needs']}"
    try:
        address = f"{subregion['links']['self']}/priorities/{line['id']}"
        coordinator.make(address, {"reason": reason})
        print("chosen:", reason)
    except Problem as problem:
        print("not chosen:", problem)

    matrix = focal.ask("GET", plan["links"]["xlsx"]).content
    print("brought back:", send_matrix(focal, plan, matrix))
    return matrix


def main() -> None:
    """Do it with the tokens of the command line; the matrix is kept as ``matrix.xlsx``."""
    address, focal, coordinator, starts = sys.argv[1:]
    matrix = meet(Exchange(address, focal), Exchange(address, coordinator), int(starts))
    Path("matrix.xlsx").write_bytes(matrix)


if __name__ == "__main__":
    main()
