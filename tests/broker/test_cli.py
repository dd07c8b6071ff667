"""The command line: what it does, what it says when it can't, and its exit codes."""

import json
import re
import shutil
from io import BytesIO

import pytest
from click.testing import CliRunner
from openpyxl import load_workbook

from broker.cli import main
from broker.paths import FIXTURES

pytestmark = pytest.mark.slow


@pytest.fixture
def broker(reference_home, tmp_path, monkeypatch):
    """``broker("match", "--need", "…")``: runs the command on an exchange with reference data."""
    home = tmp_path / "home"
    shutil.copytree(reference_home, home)
    monkeypatch.setenv("BROKER_HOME", str(home))
    monkeypatch.setenv("BROKER_ENCODER", "none")
    runner = CliRunner()

    def run(*arguments, **kwargs):
        return runner.invoke(main, [str(argument) for argument in arguments], **kwargs)

    return run


@pytest.fixture
def posts(tmp_path):
    """A small folder of posts, in the form of fixtures/demo."""
    folder = tmp_path / "posts"
    folder.mkdir()
    for name in ("needs-haiti.yaml", "offers-un.yaml", "users.yaml"):
        shutil.copy(FIXTURES / "demo" / name, folder)
    return folder


def test_every_command_has_help(broker):
    for name in ("", "db", "users", "mail", "demo", "match", "report", "evaluate", "load"):
        command = [name] if name else []
        answer = broker(*command, "--help")
        assert answer.exit_code == 0
        assert "Usage:" in answer.output


def test_loading_matching_and_reporting(broker, posts, tmp_path):
    loaded = broker("load", posts)
    assert loaded.exit_code == 0, loaded.output
    assert "5 needs, 16 offers; 0 were there already." in loaded.output
    again = broker("load", posts)
    assert "0 needs, 0 offers; 21 were there already." in again.output

    matched = broker("match")
    assert matched.exit_code == 0, matched.output
    assert "Run 1:" in matched.output
    one = broker("match", "--need", "need-ht-101")
    assert one.exit_code == 0
    assert "offer-" in one.output

    assert "Needs" in broker("report").output
    assert json.loads(broker("report", "--format", "json").stdout)
    assert broker("report", "--format", "csv").output.count("\n") > 10
    file = tmp_path / "report.xlsx"
    assert broker("report", "--format", "xlsx", "--output", file).exit_code == 0
    assert load_workbook(BytesIO(file.read_bytes())).sheetnames


def test_a_spreadsheet_is_not_printed_on_the_terminal(broker, posts):
    broker("load", posts)
    broker("match")
    answer = broker("report", "--format", "xlsx")
    assert answer.exit_code == 2
    assert "--output" in answer.output


def test_a_stored_run_is_replayed_and_compared(broker, posts):
    broker("load", posts)
    broker("match")
    replayed = broker("match", "--replay", "1")
    assert replayed.exit_code == 0, replayed.output
    assert "byte for byte" in replayed.output
    assert "0 enter, 0 leave, 0 move" in replayed.output
    assert "There is no such match run." in broker("match", "--replay", "99").output


def test_a_report_before_the_first_run_says_that_there_is_none(broker):
    answer = broker("report")
    assert answer.exit_code == 0
    assert "Matching has not been run yet." in answer.output


def test_what_is_wrong_in_a_file_is_told_with_file_line_and_field(broker, posts):
    (posts / "needs-broken.yaml").write_text(
        "- reference: need-xx-001\n"
        "  source: {document: '001', line: 1}\n"
        "  organisation: nobody\n"
        "  language: es\n"
        "  title: Una necesidad\n"
        "  description: Algo.\n"
        "  country: PE\n"
        "  support:\n"
        "    - {kind: no_such_kind}\n"
        "  themes: [no_such_theme]\n"
        "  colour: red\n",
        encoding="utf-8",
    )
    answer = broker("load", posts)
    assert answer.exit_code == 2
    assert "needs-broken.yaml:8: support" in answer.output
    assert "needs-broken.yaml:10: themes" in answer.output
    assert "needs-broken.yaml:11: colour" in answer.output
    assert "nothing was loaded" in answer.output
    assert "0 were there already" in broker("load", FIXTURES / "demo").output


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- reference: [unclosed\n", "not YAML"),
        ("reference: need-xx-001\n", "a list of records is expected"),
        ("- just text\n", "a record with fields is expected"),
    ],
)
def test_a_file_that_is_no_list_of_records_is_refused(broker, posts, text, words):
    (posts / "needs-broken.yaml").write_text(text, encoding="utf-8")
    answer = broker("load", posts)
    assert answer.exit_code == 2
    assert words in answer.output


def test_a_folder_or_a_need_that_is_not_there(broker, tmp_path):
    assert "There is no folder" in broker("load", tmp_path / "nowhere").output
    answer = broker("match", "--need", "need-xx-999")
    assert answer.exit_code == 2
    assert "Traceback" not in answer.output


def test_the_database_is_checked_taken_back_and_brought_up(broker):
    assert broker("db", "check").exit_code == 0
    assert broker("db", "downgrade", "base", "--yes").exit_code == 0
    behind = broker("match")
    assert behind.exit_code == 2
    assert "broker db upgrade" in behind.output
    assert broker("db", "upgrade").exit_code == 0
    assert broker("db", "check").exit_code == 0


def test_going_back_asks_first(broker):
    assert broker("db", "downgrade", "base", input="n\n").exit_code == 1
    assert broker("db", "check").exit_code == 0


def test_accounts_are_opened_and_get_another_role(broker):
    opened = broker(
        "users", "create", "new@demo.example", "--name", "Punto focal", "--role", "focal_point",
        "--organisation", "gov-uy",
    )  # fmt: skip
    assert opened.exit_code == 0, opened.output
    assert "Password:" in opened.output
    granted = broker("users", "grant", "new@demo.example", "coordinator", "--subregion", "andean")
    assert "coordinator" in granted.output
    taken = broker(
        "users", "create", "new@demo.example", "--name", "x", "--role", "provider",
        "--organisation", "eclac",
    )  # fmt: skip
    assert taken.exit_code == 2
    assert "exists already" in taken.output
    short = broker(
        "users", "create", "b@demo.example", "--name", "x", "--role", "provider",
        "--organisation", "eclac", "--password", "short",
    )  # fmt: skip
    assert short.exit_code == 2
    assert "12 characters" in short.output
    assert broker("users", "grant", "nobody@demo.example", "provider").exit_code == 2


def test_an_unknown_setting_stops_the_program_by_name(broker, monkeypatch):
    monkeypatch.setenv("BROKER_PROT", "1")
    answer = broker("db", "check")
    assert answer.exit_code == 2
    assert "BROKER_PROT" in answer.output


def _labelled(folder, offers=None):
    folder.mkdir()
    needs = [{"id": "n1", "lang": "es", "title": "", "description": "compras públicas verdes"}]
    offers = offers or [
        {"id": "o1", "lang": "es", "title": "Compras públicas", "description": "taller de compras"},
        {"id": "o2", "lang": "es", "title": "Bosques", "description": "manejo de bosques secos"},
    ]
    for name, rows in (("needs", needs), ("offers", offers)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (folder / "qrels.tsv").write_text("n1\to1\t2\n", encoding="utf-8")
    return folder


def test_a_labelled_folder_is_ranked_and_measured(broker, tmp_path):
    answer = broker("evaluate", _labelled(tmp_path / "labelled"), "--json")
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout) == {
        "ndcg@10": 1.0, "recall@10": 1.0, "mrr": 1.0, "needs": 1, "offers": 2,
    }  # fmt: skip


def test_codes_that_are_not_known_are_reported_and_ignored(broker, tmp_path):
    offers = [{"id": "o1", "title": "x", "themes": ["water", "no_such"], "flavour": 3}]
    answer = broker("evaluate", _labelled(tmp_path / "labelled", offers))
    assert answer.exit_code == 0
    assert "no_such" in answer.output
    assert "flavour" in answer.output


def test_a_folder_that_is_not_labelled_is_refused_with_file_and_line(broker, tmp_path):
    folder = _labelled(tmp_path / "labelled")
    (folder / "qrels.tsv").write_text("n1\to1\tmany\n", encoding="utf-8")
    answer = broker("evaluate", folder)
    assert answer.exit_code == 2
    assert "qrels.tsv:1" in answer.output


# --- The engine from the shell


@pytest.fixture
def matched(broker, posts):
    """An exchange with posts."""
    assert broker("load", posts).exit_code == 0
    return broker


def first_offer(broker):
    ranked = broker("match", "--need", "need-ht-101").output.splitlines()
    return next(word for word in ranked[0].split() if word.startswith("offer-"))


def test_a_pair_is_taken_apart_and_its_points_add_up(matched):
    answer = matched("explain", "need-ht-101", first_offer(matched))
    assert answer.exit_code == 0, answer.output
    total = float(answer.output.split(" points", 1)[0])
    parts = [float(points) for points in re.findall(r"^ +([\d.]+) of +[\d.]+", answer.output, re.M)]
    assert len(parts) == 9
    assert abs(sum(parts) - total) < 0.05
    found = json.loads(matched("explain", "need-ht-101", first_offer(matched), "--json").output)
    micro = sum(part["micro_points"] for part in found["explanation"]["contributions"])
    assert abs(micro / 1_000_000 - total) < 0.01


def test_a_pair_that_is_none_says_why_and_where_it_would_stand(matched):
    listing = (FIXTURES / "demo" / "offers-un.yaml").read_text(encoding="utf-8")
    offers = re.findall(r"^- reference: (\S+)", listing, re.M)
    answers = [matched("explain", "need-ht-101", offer) for offer in offers]
    refused = [a.output for a in answers if "Without that:" in a.output]
    assert refused
    assert all("rank" in output for output in refused)
    missing = matched("explain", "need-ht-101", "offer-nobody-001")
    assert missing.exit_code == 2
    assert "There is no post offer-nobody-001, or it is not public." in missing.output


def test_weights_are_shown_tried_and_adopted_from_the_shell(matched):
    shown = matched("weights", "show")
    shares = dict(line.split() for line in shown.output.splitlines())
    assert sum(map(float, shares.values())) == 100
    tried = matched("weights", "try", "theme=58", "text=2")
    assert tried.exit_code == 0, tried.output
    assert "unmet needs" in tried.output
    assert matched("weights", "show").output == shown.output
    wrong = matched("weights", "try", "theme=90")
    assert wrong.exit_code == 2
    assert "100" in wrong.output
    assert "Too few to learn from." in matched("weights", "learn").output
    whole = [f"{name}={share}" for name, share in {**shares, "theme": "58", "text": "2"}.items()]
    adopt = ("weights", "adopt", *whole, "--reason", "Themes first", "--by")
    refused = matched(*adopt, "focal.pe@demo.example")
    assert refused.exit_code == 2
    assert "Only the secretariat" in refused.output
    done = matched(*adopt, "secretariat@demo.example")
    assert done.output.strip() == "Set 1 is in force."
    assert "Themes first" in matched("weights", "show").output


def test_suggestions_come_from_the_shell_or_it_says_that_there_are_none(matched):
    answer = matched("suggest", "need", "--title", "Green public procurement of paper")
    assert answer.exit_code == 0, answer.output
    assert "%" in answer.output or "Nothing to suggest" in answer.output


def test_routines_are_listed_and_run(matched):
    listed = matched("routines", "list")
    assert "encode_texts" in listed.output
    assert "never ran" in listed.output
    assert matched("routines", "run", "encode_texts").output.strip() == "Ran: encode_texts."
    assert "last ran" in matched("routines", "list").output
    unknown = matched("routines", "run", "nothing")
    assert unknown.exit_code == 2
    assert "encode_texts" in unknown.output


def test_work_once_does_what_waits_and_ends(matched):
    answer = matched("work", "--once")
    assert answer.exit_code == 0, answer.output
    assert "0 jobs done." in answer.output


def test_mail_is_sent_to_the_folder_or_says_why_not(broker, tmp_path, monkeypatch):
    sent = broker("mail", "send")
    assert (sent.exit_code, sent.output.strip()) == (0, "0 sent, 0 put off, 0 given up.")
    trial = broker("mail", "test", "ana@demo.example")
    assert trial.exit_code == 0, trial.output
    assert len(list((tmp_path / "home" / "mail").glob("*.eml"))) == 1
    assert broker("mail", "test", "nobody").exit_code == 1
    monkeypatch.setenv("BROKER_MAIL_SERVER", "127.0.0.1")
    monkeypatch.setenv("BROKER_MAIL_PORT", "1")
    refused = broker("mail", "test", "ana@demo.example")
    assert refused.exit_code == 1
    assert "Refused" in refused.output
    monkeypatch.setenv("BROKER_MAIL_SECURITY", "magic")
    assert "BROKER_MAIL_SECURITY" in broker("mail", "test", "ana@demo.example").output
