"""E-mail on its way out: to an SMTP server, or to a folder where there is none."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from broker.settings import Settings
from models import DomainError, NotFound

TIMEOUT = 20.0
"""Seconds that a mail server may take for each of its answers."""

SECURITIES = ("starttls", "tls", "none")

LONGEST_SUBJECT = 160
"""Signs of a subject; a longer one is cut."""


class NotDelivered(Exception):
    """A letter that was not taken: ``lasting`` where trying again will hardly help."""

    def __init__(self, problem: str, *, lasting: bool = False) -> None:
        super().__init__(problem)
        self.problem, self.lasting = problem, lasting


class ServerDown(NotDelivered):
    """No letter can be delivered now: the server does not answer, or lets nobody in."""


class Carrier(Protocol):
    """What takes a message to where it goes."""

    def carry(self, message: EmailMessage) -> None:
        """Take it; raises :class:`NotDelivered`."""


def one_line(text: str) -> str:
    """A text as a header can hold it: on one line, without control signs."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def write_message(
    settings: Settings,
    *,
    to: tuple[str, str],
    subject: str,
    text: str,
    html: str,
    number: str,
    written: datetime,
    language: str,
    unsubscribe: str = "",
) -> EmailMessage:
    """A message of plain text and HTML, with the headers that machines look for.

    Parameters
    ----------
    to : (str, str)
        Name and address.
    number : str
        What is the message's own among all of the exchange: the same letter keeps its
        Message-ID when it is tried again.
    unsubscribe : str
        Address that ends such letters by one click (RFC 2369, RFC 8058).

    Raises
    ------
    NotDelivered
        If the address is none to which mail can be sent.
    """
    host = urlsplit(settings.site).hostname or "localhost"
    message = EmailMessage(policy=policy.SMTP)
    try:
        message["From"] = Address("10YFP broker", addr_spec=settings.mail_from)
        message["To"] = _address(*to)
    except (MessageError, ValueError, IndexError) as error:
        raise NotDelivered(f"{to[1]!r}: {error}", lasting=True) from error
    line = one_line(subject)
    message["Subject"] = line if len(line) <= LONGEST_SUBJECT else f"{line[:LONGEST_SUBJECT]}…"
    message["Date"] = format_datetime(written)
    message["Message-ID"] = f"<{number}@{host}>"
    message["Auto-Submitted"] = "auto-generated"
    if unsubscribe:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(text, cte="quoted-printable")
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    if language:
        message["Content-Language"] = language
    return message


_ADDRESS = re.compile(r"""([^\s@<>(),:;"\\\[\]]{1,64})@([^\s@<>(),:;"\\\[\]]{1,253})""")


def _address(name: str, address: str) -> Address:
    """Name and address of a header; letters with accents may stand in both (RFC 6532)."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None or not address.isprintable():
        raise ValueError("this is no e-mail address")
    # Signs that would put a name between quotation marks are left out: words between them lose
    # letters where a long header is folded.
    return Address(one_line(re.sub(r"[^\w\s'’-]", " ", name)), parts[1], parts[2])


@contextmanager
def carrier(settings: Settings) -> Iterator[Carrier]:
    """What takes messages out: one connection to the server, or the folder."""
    if not settings.mail_server:
        yield Folder(settings)
        return
    server = Server(settings)
    try:
        yield server
    finally:
        server.close()


class Server:
    """The SMTP server of the settings; connected at the first message, and again if it hangs up."""

    def __init__(self, settings: Settings) -> None:
        if settings.mail_security not in SECURITIES:
            raise DomainError(
                "bad_setting", name="BROKER_MAIL_SECURITY", value=settings.mail_security
            )
        self.settings = settings
        self._connection: smtplib.SMTP | None = None

    def carry(self, message: EmailMessage) -> None:
        """Give the message to the server.

        Raises
        ------
        ServerDown
            If the server cannot be reached, hangs up or lets nobody in.
        NotDelivered
            If it does not take this message.
        """
        try:
            self._connected().send_message(message)
        except smtplib.SMTPServerDisconnected as error:
            self.close()
            raise ServerDown(str(error)) from error
        except smtplib.SMTPNotSupportedError as error:
            raise NotDelivered(str(error), lasting=True) from error
        except smtplib.SMTPRecipientsRefused as error:
            code, words = next(iter(error.recipients.values()))
            raise NotDelivered(_said(code, words), lasting=code >= 500) from error
        except smtplib.SMTPResponseException as error:
            self.close()
            if isinstance(error, smtplib.SMTPDataError | smtplib.SMTPSenderRefused):
                lasting = error.smtp_code >= 500
                problem = _said(error.smtp_code, error.smtp_error)
                raise NotDelivered(problem, lasting=lasting) from error
            raise ServerDown(_said(error.smtp_code, error.smtp_error)) from error
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise ServerDown(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            settings = self.settings
            where = (settings.mail_server, settings.mail_port)
            if settings.mail_security == "tls":
                context = ssl.create_default_context()
                self._connection = smtplib.SMTP_SSL(*where, timeout=TIMEOUT, context=context)
            else:
                self._connection = smtplib.SMTP(*where, timeout=TIMEOUT)
            if settings.mail_security == "starttls":
                self._connection.starttls(context=ssl.create_default_context())
            if settings.mail_user:
                self._connection.login(settings.mail_user, settings.mail_password)
        return self._connection

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._connection.quit()
            self._connection = None


def _said(code: int, words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return one_line(f"{code} {text}")[:500]


FILE_NAME = re.compile(r"\d{8}T\d{6}-[\w.\-]{1,80}\.eml")
"""Names of the files in the folder: when the letter was written, and its number."""


@dataclass(frozen=True)
class KeptMessage:
    """A message in the folder, as a list shows it."""

    name: str
    to: str
    subject: str
    written: datetime


class Folder:
    """The folder of an exchange without a mail server: one file a message (RFC 5322)."""

    def __init__(self, settings: Settings) -> None:
        self.path = settings.home / "mail"

    def carry(self, message: EmailMessage) -> None:
        """Keep the message; trying again writes the same file."""
        written = parsedate_to_datetime(message["Date"])
        number = message["Message-ID"].strip("<>").split("@")[0]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            path = self.path / f"{written:%Y%m%dT%H%M%S}-{number}.eml"
            half = path.with_suffix(".part")
            half.write_bytes(message.as_bytes())
            half.replace(path)
        except OSError as error:
            raise ServerDown(f"{type(error).__name__}: {error}") from error

    def names(self) -> list[str]:
        """The messages' files, the newest first."""
        if not self.path.is_dir():
            return []
        found = (entry.name for entry in self.path.iterdir())
        return sorted((name for name in found if FILE_NAME.fullmatch(name)), reverse=True)

    def headings(self, names: Sequence[str]) -> list[KeptMessage]:
        """Whom messages are for and what they are about; their bodies are not read."""
        return [self._heading(name) for name in names]

    def _heading(self, name: str) -> KeptMessage:
        with self._file(name).open("rb") as file:
            heads = BytesHeaderParser(policy=policy.default).parse(file)
        return KeptMessage(
            name, str(heads["To"]), str(heads["Subject"]), parsedate_to_datetime(heads["Date"])
        )

    def read(self, name: str) -> EmailMessage:
        """A message with all that it holds.

        Raises
        ------
        NotFound
            ``no_such_message``.
        """
        with self._file(name).open("rb") as file:
            return BytesParser(policy=policy.default).parse(file)

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not FILE_NAME.fullmatch(name) or not path.is_file():
            raise NotFound("no_such_message")
        return path


def part_of(message: EmailMessage, kind: str) -> str:
    """The text of a message: its ``"plain"`` or its ``"html"`` part."""
    part = message.get_body(preferencelist=(kind,))
    return str(part.get_content()) if part is not None else ""
