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
