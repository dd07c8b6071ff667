"""Every address, as every role, held against a table: what is not listed opens for nobody."""

import pytest

from broker.web import create_app
from models import Role

PUBLIC, FOCAL, PROVIDER, FORCE, DELEGATE, COORDINATOR, SECRETARIAT = (
    Role.PUBLIC,
    Role.FOCAL_POINT,
    Role.PROVIDER,
    Role.TASK_FORCE,
    Role.DELEGATE,
    Role.COORDINATOR,
    Role.SECRETARIAT,
)
EVERYBODY = set(Role)
SIGNED_IN = EVERYBODY - {PUBLIC}
POSTERS = {FOCAL, PROVIDER, FORCE, COORDINATOR}
WRITERS = POSTERS | {DELEGATE}
OFFER_POSTERS = {FOCAL, PROVIDER, FORCE}
MODERATORS = {COORDINATOR, SECRETARIAT}
SEEKERS = {FORCE} | MODERATORS
OFFICE = {SECRETARIAT}

TABLE = {
    "static": EVERYBODY,
    "bootstrap.static": EVERYBODY,
    "public.home": EVERYBODY,
    "public.about": EVERYBODY,
    "public.organisation": EVERYBODY,
    "board.show": EVERYBODY,
    "board.unmet": EVERYBODY,
    "countries.index": EVERYBODY,
    "countries.show": EVERYBODY,
    "programmes.index": EVERYBODY,
    "programmes.show": EVERYBODY,
    "subjects.index": EVERYBODY,
    "subjects.theme": EVERYBODY,
    "subjects.ilac_area": EVERYBODY,
    "organisations.index": EVERYBODY,
    "assets.send": EVERYBODY,
    "merging.show": OFFICE,
    "merging.merge": OFFICE,
    "account.sign_in": EVERYBODY,
    "account.invitation": EVERYBODY,
    "account.choose_language": EVERYBODY,
    "account.sign_out": SIGNED_IN,
    "account.profile": SIGNED_IN,
    "tokens.show": SIGNED_IN,
    "tokens.make": SIGNED_IN,
    "tokens.make_calendar": SIGNED_IN,
    "tokens.revoke": SIGNED_IN,
    "open_data.show": EVERYBODY,
    "open_data.file": EVERYBODY,
    "feeds.posts": EVERYBODY,
    "feeds.agreements": EVERYBODY,
    "feeds.closing": EVERYBODY,
    "feeds.meetings_of_task_forces": EVERYBODY,
    "feeds.own_calendar": EVERYBODY,
    "webhooks.mine": SIGNED_IN,
    "webhooks.make": SIGNED_IN,
    "webhooks.show": SIGNED_IN,
    "webhooks.change": SIGNED_IN,
    "webhooks.test": SIGNED_IN,
    "webhooks.renew": SIGNED_IN,
    "webhooks.replay": SIGNED_IN,
    "webhooks.remove": SIGNED_IN,
    "search.everywhere": EVERYBODY,
    "writing.keep": WRITERS,
    "writing.drop": WRITERS,
    "writing.advice": WRITERS,
    "posts.needs": EVERYBODY,
    "posts.offers": EVERYBODY,
    "posts.page": EVERYBODY,
    "posts.version": EVERYBODY,
    "post_history.returned": SIGNED_IN,
    "posts.mine": SIGNED_IN,
    "iati.activities": EVERYBODY,
    "plans.plans": EVERYBODY,
    "plans.show": EVERYBODY,
    "plans.file": EVERYBODY,
    "plans.line": EVERYBODY,
    "plans.start": {FOCAL} | MODERATORS,
    "plans.new_line": {FOCAL} | MODERATORS,
    "plans.edit_line": {FOCAL} | MODERATORS,
    "plans.remove": {FOCAL} | MODERATORS,
    "plans.link": {FOCAL} | MODERATORS,
    "plans.unlink": {FOCAL} | MODERATORS,
    "plans.report": {FOCAL} | MODERATORS,
    "plans.settle": {FOCAL} | MODERATORS,
    "plans.bring": {FOCAL} | MODERATORS,
    "plans.choose": MODERATORS,
    "plans.choose_one": MODERATORS,
    "plans.release": MODERATORS,
    "imports.imports": WRITERS | OFFICE,
    "imports.template_file": WRITERS | OFFICE,
    "imports.bring": WRITERS | OFFICE,
    "imports.bring_activities": OFFER_POSTERS,
    "imports.report_file": OFFER_POSTERS | OFFICE,
    "imports.show": WRITERS | OFFICE,
    "imports.annotated_file": WRITERS | OFFICE,
    "imports.load": WRITERS | OFFICE,
    "imports.decide": WRITERS,
    "jobs.jobs": SIGNED_IN,
    "jobs.show": SIGNED_IN,
    "jobs.progress": SIGNED_IN,
    "jobs.stop": SIGNED_IN,
    "posts.own": WRITERS,
    "posts.new": WRITERS,
    "posts.edit": WRITERS,
    "posts.submit": WRITERS,
    "posts.withdraw": SIGNED_IN,
    "posts.reopen": WRITERS,
    "posts.renew": POSTERS,
    "posts.copy": WRITERS,
    "desk.ranked_needs": OFFER_POSTERS,
    "desk.portfolio": OFFER_POSTERS,
    "desk.needs": {FOCAL, COORDINATOR, DELEGATE},
    "endorsements.overview": MODERATORS,
    "endorsements.delegations": MODERATORS,
    "endorsements.colleagues": {FOCAL},
    "endorsements.invite": {FOCAL},
    "endorsements.open_or_close": {FOCAL},
    "endorsements.endorse": {FOCAL},
    "endorsements.give_back": {FOCAL},
    "conflicts.show": SIGNED_IN,
    "conflicts.declare": SIGNED_IN,
    "conflicts.lift": OFFICE,
    "task_forces.index": EVERYBODY,
    "task_forces.show": EVERYBODY,
    "task_forces.queue": SEEKERS,
    "task_forces.edit": {FORCE},
    "task_forces.new_activity": {FORCE},
    "task_forces.drop_activity": {FORCE},
    "task_forces.new_meeting": {FORCE},
    "task_forces.correct_meeting": {FORCE},
    "task_forces.drop_meeting": {FORCE},
    "partners.find": SEEKERS,
    "partners.show": SEEKERS,
    "partners.invite": SEEKERS,
    "partners.invitations": SEEKERS,
    "partners.invitation": SIGNED_IN,
    "partners.answer": POSTERS,
    "partners.pairing": SEEKERS,
    "partners.pair": SEEKERS,
    "partners.pool": SEEKERS,
    "partners.ask": SEEKERS,
    "matches.of_need": SIGNED_IN,
    "matches.of_offer": SIGNED_IN,
    "matches.pair": SIGNED_IN,
    "matches.excluded": SIGNED_IN,
    "matches.why_not_need": SIGNED_IN,
    "matches.why_not_offer": SIGNED_IN,
    "matches.interest": POSTERS,
    "matches.answer": POSTERS,
    "matches.dismiss": POSTERS,
    "matches.restore": POSTERS,
    "directory.entries": EVERYBODY,
    "directory.shelf": EVERYBODY,
    "directory.page": EVERYBODY,
    "directory.new": POSTERS | OFFICE,
    "directory.edit": POSTERS | OFFICE,
    "directory.submit": POSTERS | OFFICE,
    "directory.withdraw": POSTERS | OFFICE,
    "directory.reopen": POSTERS | OFFICE,
    "directory.renew": POSTERS | OFFICE,
    "directory.own": POSTERS | OFFICE,
    "directory.review": MODERATORS,
    "directory.publish": MODERATORS,
    "directory.give_back": MODERATORS,
    "directory.practice": POSTERS,
    "directory.offer": {FOCAL, PROVIDER, FORCE},
    "directory.cite": {FOCAL, PROVIDER, FORCE},
    "directory.drop": {FOCAL, PROVIDER, FORCE},
    "agreements.register": EVERYBODY,
    "agreements.show": EVERYBODY,
    "agreements.pdf": EVERYBODY,
    "agreements.propose": POSTERS,
    "agreements.terms": POSTERS,
    "agreements.accept": POSTERS,
    "agreements.sign": POSTERS,
    "agreements.start": POSTERS,
    "agreements.complete": POSTERS,
    "agreements.terminate": POSTERS,
    "agreements.abandon": POSTERS,
    "agreements.milestone": POSTERS,
    "agreements.indicator": POSTERS,
    "agreements.rate": POSTERS,
    "documents.attach": POSTERS,
    "documents.load_down": EVERYBODY,
    "documents.make_public": POSTERS,
    "documents.remove": POSTERS,
    "parties.edit": POSTERS,
    "parties.remove": POSTERS,
    "parties.kind": POSTERS,
    "parties.disclosure": POSTERS,
    "ledger.balance": SIGNED_IN,
    "clearing.rounds": MODERATORS,
    "clearing.show": MODERATORS,
    "clearing.replay_version": MODERATORS,
    "clearing.new_round": OFFICE,
    "clearing.settings": OFFICE,
    "clearing.clear_now": OFFICE,
    "clearing.rule": OFFICE,
    "clearing.drop_rule": OFFICE,
    "clearing.send": OFFICE,
    "clearing.end": OFFICE,
    "clearing.pools": OFFICE,
    "clearing.ask": OFFICE,
    "clearing.pool": SIGNED_IN,
    "clearing.answer_to_pool": POSTERS,
    "clearing.own": POSTERS,
    "clearing.proposal": SIGNED_IN,
    "clearing.answer": POSTERS,
    "secretariat.desk": MODERATORS,
    "secretariat.queue": MODERATORS,
    "secretariat.publish": MODERATORS,
    "secretariat.give_back": MODERATORS,
    "secretariat.milestones": MODERATORS,
    "secretariat.runs": MODERATORS,
    "secretariat.run": MODERATORS,
    "secretariat.replay": MODERATORS,
    "bulletins.archive": EVERYBODY,
    "bulletins.show": EVERYBODY,
    "bulletins.rows": EVERYBODY,
    "bulletins.paper": EVERYBODY,
    "bulletins.text": EVERYBODY,
    "bulletins.draft": MODERATORS,
    "bulletins.publish": SECRETARIAT,
    "reports.show": MODERATORS,
    "reports.file": MODERATORS,
    "reports.rows": MODERATORS,
    "reports.prepare": MODERATORS,
    "reports.prepared": MODERATORS,
    "reports.questionnaire": EVERYBODY,
    "reports.questionnaire_file": EVERYBODY,
    "secretariat.run_now": OFFICE,
    "secretariat.users": OFFICE,
    "secretariat.new_user": OFFICE,
    "secretariat.user": OFFICE,
    "secretariat.grant": OFFICE,
    "secretariat.open_or_close": OFFICE,
    "secretariat.password": OFFICE,
    "secretariat.organisations": OFFICE,
    "secretariat.trust": OFFICE,
    "secretariat.audit": OFFICE,
    "weights.show": OFFICE,
    "weights.try_out": OFFICE,
    "weights.tried": OFFICE,
    "weights.learnt": OFFICE,
    "weights.adopt": OFFICE,
    "notices.mine": SIGNED_IN,
    "notices.read": SIGNED_IN,
    "notices.read_all": SIGNED_IN,
    "notices.choices": SIGNED_IN,
    "notices.unsubscribe": EVERYBODY,
    "searches.mine": SIGNED_IN,
    "searches.save": SIGNED_IN,
    "searches.change": SIGNED_IN,
    "searches.delete": SIGNED_IN,
    "silence.show": MODERATORS,
    "silence.remind": MODERATORS,
    "mail.outbox": OFFICE,
    "mail.send": OFFICE,
    "mail.again": OFFICE,
    "mail.message": OFFICE,
    "mail.picture": OFFICE,
    "duplicates.show": OFFICE,
    "duplicates.keep_posts": OFFICE,
    "duplicates.keep_organisations": OFFICE,
}
"""Endpoint → the roles for which it opens."""

LEAVES = {"account.sign_out", "secretariat.run_now"}
"""Endpoints that the walk does not call: they would end the session, or take long."""


def _rules(app):
    """The addresses of pages; the API has a table of its own (``tests/broker/api``)."""
    return [rule for rule in app.url_map.iter_rules() if not rule.endpoint.startswith("api_")]


def test_every_endpoint_stands_in_the_table_and_nothing_else(app):
    assert {rule.endpoint for rule in _rules(app)} == set(TABLE)


def _addresses(app):
    """Every address with numbers that do not exist, by every method that it takes."""
    values = {
        "code": "none", "filename": "broker.css", "ending": "csv", "name": "x",
        "shelf": "practices", "who": "country",
    }  # fmt: skip
    adapter = app.url_map.bind("localhost")
    found = set()
    for rule in _rules(app):
        for kind in ("need", "offer"):
            given = {name: {**values, "kind": kind}.get(name, 999_999) for name in rule.arguments}
            path = adapter.build(rule.endpoint, given)
            methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found |= {(rule.endpoint, method, path) for method in methods}
    return sorted(found)


def _opens_for(endpoint, path):
    """The roles for which an address opens: who starts a post depends on its kind."""
    if endpoint not in ("posts.new", "writing.keep", "writing.advice"):
        return TABLE[endpoint]
    return {FOCAL, COORDINATOR, DELEGATE} if path.startswith("/needs") else OFFER_POSTERS


@pytest.mark.parametrize("role", list(Role))
def test_each_role_opens_what_the_table_says_and_nothing_more(app, client, sign_in, role):
    organisation = {PROVIDER: "eclac", FORCE: "tf-procurement", SECRETARIAT: "unep-rolac"}
    facts = {"subregion": "andean"} if role == COORDINATOR else {}
    reader = client if role == PUBLIC else sign_in(role, organisation.get(role, "gov-pe"), **facts)
    walked = 0
    for endpoint, method, path in _addresses(app):
        if endpoint in LEAVES and role in _opens_for(endpoint, path):
            continue
        answer = reader.open(path, method=method, headers={"Accept": "text/html"}, buffered=True)
        where = f"{role}: {method} {path} → {answer.status}"
        refused = answer.status_code in (401, 403) or "/sign-in" in answer.headers.get(
            "Location", ""
        )
        if role in _opens_for(endpoint, path):
            # A sign-in without a password is refused for what it is, not for who asks.
            assert not refused or (endpoint, method) == ("account.sign_in", "POST"), where
            assert answer.status_code < 500, where
        else:
            assert refused, where
        walked += 1
    assert walked > 60


def test_a_view_that_names_nobody_opens_for_nobody(exchange, sign_in):
    app = create_app(exchange=exchange)
    app.add_url_rule("/forgotten", "forgotten", lambda: "forgotten words")
    office = app.test_client()
    with sign_in(SECRETARIAT, "unep-rolac").session_transaction() as known:
        kept = dict(known)
    with office.session_transaction() as session:
        session.update(kept)
    for reader in (app.test_client(), office):
        answer = reader.get("/forgotten")
        assert b"forgotten words" not in answer.data
        assert answer.status_code in (302, 403)


def test_every_form_is_refused_without_its_token(exchange):
    app = create_app(exchange=exchange)
    with app.test_client() as client:
        for endpoint, method, path in _addresses(app):
            if method != "POST" or PUBLIC not in TABLE[endpoint]:
                continue
            assert client.post(path).status_code == 400, path


def test_pages_send_the_headers_that_keep_browsers_safe(client):
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    cookies = client.get("/sign-in").headers.getlist("Set-Cookie")
    kept = next(cookie for cookie in cookies if cookie.startswith("session="))
    assert "HttpOnly" in kept
    assert "SameSite=Lax" in kept
