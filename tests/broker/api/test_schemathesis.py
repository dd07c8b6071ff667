"""The OpenAPI document and the API agree: Schemathesis asks what the document allows, and more."""

from __future__ import annotations

import itertools

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from broker.action_plan import open_plan, save_line
from broker.sheets import XLSX
from models import Match, MatchStatus, Role
from tests.broker.api.conftest import ROOT
from tests.broker.factories import make_person, post_need, post_offer

pytestmark = pytest.mark.slow

load_all_checks()
schemathesis.serializer.alias([XLSX, "text/csv"], "application/octet-stream")

EXAMPLES = {GenerationMode.POSITIVE: 10, GenerationMode.NEGATIVE: 6}
"""Requests of each operation, as the document allows and as it does not."""

CALM = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)

NUMBERS = itertools.count(1)


@pytest.fixture
def known(exchange):
    """Things that are there, so that not every number leads nowhere."""
    with exchange.writing() as session:
        need = post_need(session, places_wanted=30)
        offer = post_offer(session, places=40)
        match = Match(need=need, offer=offer, status=MatchStatus.MUTUAL)
        session.add(match)
        session.flush()
        by = make_person(session, Role.FOCAL_POINT)
        data = {"scope": "PE", "starts": 2027}
        plan = open_plan(session, by, data, exchange.reference)
        line = {
            "language": "es",
            "dimension": "1",
            "priority": "Compras públicas sostenibles",
            "indicators": [{"name": "Ministerios con criterios", "target": 10}],
        }
        save_line(session, by, plan, line, exchange.reference)
        return {"need": need.id, "offer": offer.id}


def _existing(case, known):
    """The case with numbers of things that are there."""
    path = case.operation.path
    for name in case.path_parameters or {}:
        if name == "post_id":
            case.path_parameters[name] = known["need" if "/needs/" in path else "offer"]
        elif name in ("need_id", "offer_id"):
            case.path_parameters[name] = known[name.removesuffix("_id")]
        elif name == "code":
            case.path_parameters[name] = "gov-pe"
        elif name == "name":
            case.path_parameters[name] = "theme"
        else:
            case.path_parameters[name] = 1


@pytest.mark.parametrize("role", [None, Role.FOCAL_POINT, Role.SECRETARIAT])
def test_every_operation_keeps_what_the_document_promises(app, program, known, role):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    caller = program(role) if role else program()
    document = schemathesis.openapi.from_wsgi(f"{ROOT}/openapi.json", app)
    headers = {"Accept-Encoding": "identity"}
    if caller.token:
        headers["Authorization"] = f"Bearer {caller.token}"
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 60
    for operation in operations:
        if not caller.token and operation.method != "get":
            continue
        _ask(operation, GenerationMode.POSITIVE, known, headers)
        if _can_be_wrong(operation):
            _ask(operation, GenerationMode.NEGATIVE, known, headers)


def _can_be_wrong(operation):
    """Whether the document forbids anything that can be sent: every header is some text."""
    return bool(list(operation.body) or list(operation.query))


def _ask(operation, mode, known, headers):
    @settings(CALM, max_examples=EXAMPLES[mode])
    @given(case=operation.as_strategy(generation_mode=mode), existing=st.booleans())
    def asked(case, existing):
        if existing and mode == GenerationMode.POSITIVE:
            _existing(case, known)
        # That an end lies after its beginning, and whose turn it is, no schema can say.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    asked()
