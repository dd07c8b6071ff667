"""Settings are read from the environment, refused when unknown, and documented without a gap."""

import re
import stat
from dataclasses import fields
from pathlib import Path

import pytest

from broker.settings import PREFIX, Settings
from models import DomainError

DOCUMENT = Path(__file__).parents[2] / "docs" / "settings.md"


def test_every_setting_stands_in_the_document_with_its_default():
    text = DOCUMENT.read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(BROKER_\w+)` \|", text, re.MULTILINE))
    assert documented == {PREFIX + field.name.upper() for field in fields(Settings)}
    for field in fields(Settings):
        if isinstance(field.default, int | str) and field.default not in ("", True, False):
            row = next(r for r in text.splitlines() if f"`BROKER_{field.name.upper()}`" in r)
            assert f"`{field.default}`" in row


def test_values_are_read_by_their_type():
    read = Settings.from_environment(
        {"BROKER_PORT": "9000", "BROKER_HTTPS": "yes", "BROKER_HOME": "/srv/x", "PATH": "/bin"}
    )
    assert (read.port, read.https, read.home) == (9000, True, Path("/srv/x"))


def test_hosts_and_networks_are_read_with_commas_between():
    read = Settings.from_environment({"BROKER_WEBHOOK_ALLOWED": " 10.0.0.0/8, hooks.example ,"})
    assert read.webhook_allowed == ("10.0.0.0/8", "hooks.example")
    assert Settings().webhook_allowed == ()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("BROKER_PORTT", "1", "unknown_setting"),
        ("BROKER_PORT", "many", "bad_setting"),
        ("BROKER_HTTPS", "perhaps", "bad_setting"),
        ("BROKER_WEBHOOK_ALLOWED", "10.0.0.0/99", "bad_setting"),
    ],
)
def test_a_setting_that_cannot_be_read_is_refused_by_name(name, value, code):
    with pytest.raises(DomainError) as refusal:
        Settings.from_environment({name: value})
    assert refusal.value.code == code
    assert refusal.value.params["name"] == name


def test_the_session_key_is_made_once_and_is_the_owners_alone(tmp_path):
    first = Settings(home=tmp_path).completed()
    second = Settings(home=tmp_path).completed()
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 48
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600
