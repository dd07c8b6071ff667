"""The examples of the documentation, against a server that really listens."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from models import Role

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"


@pytest.fixture
def served(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_example_goes_the_whole_way_from_post_to_signature(served, program):
    tokens = [program(role).token for role in (Role.FOCAL_POINT, Role.TASK_FORCE, Role.SECRETARIAT)]
    done = subprocess.run(
        [sys.executable, EXAMPLES / "journey.py", served, *tokens],
        capture_output=True,
        text=True,
        cwd=EXAMPLES,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "explained exactly: True" in done.stdout
    assert "signed: signed on" in done.stdout
    assert "now: active" in done.stdout
    register = program().get("/agreements").json["items"]
    assert [agreement["status"] for agreement in register] == ["active"]
    assert register[0]["milestones"][0]["done_on"]
    assert register[0]["milestones"][0]["evidence"] == ""


def test_the_example_of_the_action_plan_goes_from_a_line_to_the_matrix(served, program, tmp_path):
    coordinator = program(Role.COORDINATOR, "gov-pe", subregion="andean")
    done = subprocess.run(
        [sys.executable, EXAMPLES / "action_plan.py", served,
         program(Role.FOCAL_POINT).token, coordinator.token, "2029"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "on the way to the target: 50%" in done.stdout
    assert "chosen: Open needs of the subregion on its themes: 0" in done.stdout
    assert "brought back: {'added': 0, 'changed': 0, 'same': 1}" in done.stdout
    assert (tmp_path / "matrix.xlsx").read_bytes()[:2] == b"PK"
    [plan] = program().get("/plans?scope=andean").json["items"]
    assert program().get(plan["links"]["self"]).json["lines"] == {"1": 1}


def test_the_client_tells_what_is_wrong(served, program, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from client import Exchange, Problem

    public = Exchange(served, language="es")
    assert list(public.all("/needs", limit=1)) == []
    with pytest.raises(Problem) as told:
        public.read("/needs", sort="best")
    assert told.value.status == 422
    assert "sort" in told.value.errors
    with pytest.raises(Problem) as told:
        public.make("/needs", {"language": "es"})
    assert (told.value.status, told.value.type) == (401, "urn:10yfp:sign_in_needed")
    focal = Exchange(served, program(Role.FOCAL_POINT).token)
    made = [focal.make("/needs", {"language": "es", "title": str(n)}) for n in range(3)]
    assert len(list(focal.all("/own/needs", limit=1))) == len(made)
    edited = focal.do_as_read("PATCH", made[0]["links"]["self"], body={"title": "Otro"})
    assert edited["title"] == "Otro"
    for client in (public, focal):
        client.session.close()
