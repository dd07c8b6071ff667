"""Files in and out: IATI import, spreadsheet import, IATI export; speed and memory.

    python -m benchmarks interchange [--megabytes 100] [--rows 2000] [--one-in 20] [--write]

The IATI file is made on the spot in the shape of a large publisher's: several narratives, budgets
by year, forty transactions and an extension of its own in each activity, of which one in
--one-in concerns the region. Beside the import stands the reading alone, and the alternative:
lxml.etree.parse of the whole file. Each measurement is a process of its own, so that its memory is
its own. ``--write`` puts the table into ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lxml import etree
from sqlalchemy import func, select

from broker import imports
from broker.exchange import Exchange
from broker.iati_activities import read_elements
from broker.iati_export import write_activities
from broker.iati_import import bring_activities, load_activities, store_file
from broker.jobs import learn_kinds
from broker.settings import Settings
from models import ImportStatus, Role, User

PERFORMANCE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: interchange -->", "<!-- end -->"

WORDS = ["water", "energy", "training", "public", "buyers", "waste", "hotels", "farmers", "green"]


def make_file(path: Path, megabytes: int, one_in: int, seed: int = 1) -> int:
    """Write an IATI 2.03 file of about that size; gives the number of activities."""
    draw = random.Random(seed)
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<iati-activities version="2.03">\n')
        while file.tell() < megabytes * 1024**2:
            file.write("".join(_activity(draw, count + n, one_in) for n in range(100)))
            count += 100
        file.write("</iati-activities>\n")
    return count


def _activity(draw: random.Random, number: int, one_in: int) -> str:
    def text(words: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(words))

    place = draw.choice(["PE", "BO", "JM", "HT"]) if number % one_in == 0 else "KE"
    budgets = "".join(
        f'<budget type="1"><period-start iso-date="{year}-01-01"/>'
        f'<period-end iso-date="{year}-12-31"/><value currency="USD" value-date="{year}-01-01">'
        f"{draw.randrange(10_000, 900_000)}</value></budget>\n"
        for year in range(2025, 2029)
    )
    transactions = "".join(
        f'<transaction><transaction-type code="3"/><transaction-date iso-date="2025-0{month}-01"/>'
        f'<value currency="USD" value-date="2025-0{month}-01">{draw.randrange(99_999)}</value>'
        "</transaction>\n"
        for month in [1 + n % 9 for n in range(40)]
    )
    return f"""<iati-activity xml:lang="en" default-currency="USD">
<iati-identifier>XM-MADE-{number}</iati-identifier>
<reporting-org ref="XM-MADE" type="40"><narrative>Publisher</narrative></reporting-org>
<title><narrative>{text(7)} {number}</narrative><narrative xml:lang="es">{text(7)}</narrative></title>
<description type="1"><narrative>{text(120)}</narrative><narrative xml:lang="fr">{text(60)}</narrative>
</description>
<activity-status code="2"/><activity-date type="2" iso-date="2025-02-01"/>
<activity-date type="3" iso-date="2099-12-31"/>
<recipient-country code="{place}" percentage="100"/>
<sector vocabulary="1" code="15125" percentage="60"/><sector code="23183" percentage="40"/>
<default-finance-type code="110"/><default-aid-type code="C01"/>
{budgets}{transactions}<own:note xmlns:own="https://publisher.example/ns">{text(20)}</own:note>
</iati-activity>
"""


def _exchange(home: Path, which: int = 0) -> tuple[Exchange, int]:
    exchange = Exchange(Settings(home=home, encoder="none", max_import=10 * 1024**3).completed())
    with exchange.reading() as session:
        first = select(func.min(User.id)).where(User.role == Role.PROVIDER)
        people = first.group_by(User.organisation_id).order_by(User.organisation_id)
        by_id = session.scalars(people.offset(which).limit(1)).one()
    return exchange, by_id


def import_file(home: Path, path: Path, which: int = 0) -> dict[str, Any]:
    """The whole import, from the upload's stream to the last draft."""
    exchange, by_id = _exchange(home, which)
    with path.open("rb") as file:
        stored = store_file(exchange, path.name, file)
    with exchange.writing() as session:
        import_id = bring_activities(session, session.get_one(User, by_id), stored).id
    counts = load_activities(exchange, import_id, progress=lambda _done, _size: None)
    return {"items": counts["rows"], "note": f"{counts['loaded']:,} drafts"}


def import_in_worker(home: Path, path: Path) -> dict[str, Any]:
    """The same import for another organisation, where all kinds of jobs are loaded already."""
    learn_kinds()
    return import_file(home, path, which=1)


def read_file(_home: Path, path: Path) -> dict[str, Any]:
    """The reading alone, as a stream."""
    with path.open("rb") as file:
        return {"items": sum(1 for _element in read_elements(file))}


def parse_whole(_home: Path, path: Path) -> dict[str, Any]:
    """The alternative: the tree of the whole file."""
    root = etree.parse(str(path)).getroot()
    return {"items": len(root)}


def import_sheet(home: Path, path: Path) -> dict[str, Any]:
    """A CSV of offers: checked, then loaded as drafts."""
    exchange, by_id = _exchange(home)
    with exchange.writing() as session:
        person = session.get_one(User, by_id)
        brought = imports.keep_file(
            exchange, session, person,
            scheme="sheet", kind="offer", name=path.name, content=path.read_bytes(),
        )  # fmt: skip
        imports.check_import(exchange, session, brought)
        brought.become(ImportStatus.LOADING)
        imports.load_rows(exchange, session, person, brought, only_good=False, submit=False)
        return {"items": brought.loaded}


def export_file(home: Path, _path: Path) -> dict[str, Any]:
    """What is public of the demonstration exchange, as one file of activities."""
    exchange, _by_id = _exchange(home)
    with exchange.reading() as session:
        return {"items": write_activities(exchange, session, io.BytesIO())}


PARTS: dict[str, tuple[str, Callable[[Path, Path], dict[str, Any]]]] = {
    "import": ("**IATI import**, upload to last draft", import_file),
    "worker": ("the same in a worker that has loaded all kinds of jobs", import_in_worker),
    "read": ("reading alone, as a stream", read_file),
    "parse": ("alternative: `lxml.etree.parse`, whole file", parse_whole),
    "sheet": ("CSV import of offers, checked and loaded", import_sheet),
    "export": ("IATI export of the demonstration", export_file),
}


def make_sheet(path: Path, rows: int) -> None:
    """A CSV of offers without a problem."""
    names = ["key", "language", "title", "description", "support_1_kind", "themes", "places"]
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(names)
        for number in range(rows):
            out.writerow([number, "en", f"Course {number}", "We train public buyers.",
                          "capacity_building", "sustainable_public_procurement", 30])  # fmt: skip


def measure(part: str, home: Path, path: Path) -> str:
    """Do one part in a process of its own; a row of the table."""
    words = [sys.executable, "-m", "benchmarks.interchange", "--part", part, str(home), str(path)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    megabytes = path.stat().st_size / 1024**2 if path.is_file() else 0
    speed = f"{megabytes / found['seconds']:,.1f}" if megabytes > 1 else "–"
    what = PARTS[part][0] + (f" ({found['note']})" if found.get("note") else "")
    return (
        f"| {what} | {megabytes:,.0f} | {found['items']:,} | {found['seconds']:,.1f} | "
        f"{found['items'] / found['seconds']:,.0f} | {speed} | {found['peak']:,.0f} |"
    )


def do_part(part: str, home: Path, path: Path) -> None:
    """The work of such a process; prints what it measured."""
    start = time.perf_counter()
    found = PARTS[part][1](home, path)
    found["seconds"] = time.perf_counter() - start
    found["peak"] = peak_memory()
    print(json.dumps(found))


def peak_memory() -> float:
    """Megabytes of this process at its highest.

    ``getrusage`` would say no less than the process that started this one had used.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


HEAD = (
    "| what | file, MB | items | seconds | items/s | MB/s | memory at its highest, MB |\n"
    "|---|---:|---:|---:|---:|---:|---:|"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=100, help="size of the IATI file")
    parser.add_argument("--rows", type=int, default=2000, help="rows of the spreadsheet")
    parser.add_argument("--one-in", type=int, default=20, help="activities for one of the region")
    parser.add_argument("--write", action="store_true", help="into docs/performance.md")
    parser.add_argument("--part", nargs=3, metavar=("PART", "HOME", "FILE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.part:
        part, home, path = chosen.part
        do_part(part, Path(home), Path(path))
        return
    # Only here: what is measured is a process that has loaded no more than its work needs.
    from benchmarks.demonstration import describe_machine, load_demonstration

    lines = [describe_machine(), "", HEAD]
    with tempfile.TemporaryDirectory(prefix="interchange-") as folder:
        home = Path(folder) / "home"
        load_demonstration(home)
        activities, sheet = Path(folder) / "activities.xml", Path(folder) / "offers.csv"
        make_file(activities, chosen.megabytes, chosen.one_in)
        make_sheet(sheet, chosen.rows)
        nothing = Path(folder) / "nothing"
        paths = {"sheet": sheet, "export": nothing}
        for part in ("read", "parse", "import", "worker", "sheet", "export"):
            lines.append(measure(part, home, paths.get(part, activities)))
            print(lines[-1], file=sys.stderr, flush=True)
    table = "\n".join(lines)
    print(table)
    if chosen.write:
        text = PERFORMANCE.read_text(encoding="utf-8")
        block = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
        PERFORMANCE.write_text(
            block.sub(lambda _found: f"{BEGIN}\n{table}\n{END}", text, count=1), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
