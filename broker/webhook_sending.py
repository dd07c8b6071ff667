"""Sending a message to an address that somebody has typed, without being led astray by it.

Addresses of private networks are refused unless the operator has named them, the name is looked up
once, and redirections are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

SECONDS_TO_CONNECT, SECONDS_IN_ALL = 5.0, 10.0
"""How long one attempt may take."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Allowed:
    """Hosts and networks that the operator lets messages go to though they are private.

    Examples
    --------
    >>> allowed = Allowed.of(["hooks.ministry.example", "10.20.0.0/16"])
    >>> allowed.names("Hooks.Ministry.example."), allowed.names("10.20.0.7")
    (True, True)
    >>> allowed.holds("10.20.0.7"), allowed.holds("10.21.0.7")
    (True, False)
    """

    hosts: frozenset[str] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> Allowed:
        """From names of hosts, addresses, and networks (``10.20.0.0/16``)."""
        hosts, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry))
            except ValueError:
                hosts.add(_plain(entry))
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str) -> bool:
        """Whether a host stands in the list by its name, or is itself an address of a network."""
        try:
            return self.holds(host)
        except ValueError:
            return _plain(host) in self.hosts

    def holds(self, address: str) -> bool:
        """Whether an IP address lies in one of the networks; raises ValueError for another text."""
        inner = list(_unwrapped(ipaddress.ip_address(address.split("%")[0])))
        return all(any(one in network for network in self.networks) for one in inner)


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: the receiver's answer, or why there is none.

    ``problem`` is a code of :data:`broker.messages.FIELD_PROBLEMS`, or what the network said.
    """

    answer: int | None = None
    problem: str = ""

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken the message."""
        return self.answer is not None and 200 <= self.answer < 300


def send(url: str, payload: bytes, headers: Mapping[str, str], *, allowed: Allowed) -> Outcome:
    """Send a message, and take the status of the answer for the whole of it.

    The name is looked up once, every address that it has must be public or allowed, and the
    connection goes to the address that was looked at: a name that leads elsewhere at a second look
    (DNS rebinding) gains nothing. Redirections are not followed; what the receiver says is
    not read; after ``SECONDS_IN_ALL`` the line is cut.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        address = _address_of(parts, port, allowed)
        connection = _connection(parts, address, port)
    except OSError as error:
        return Outcome(problem=str(error) or type(error).__name__)
    cut = threading.Timer(SECONDS_IN_ALL, _cut, [connection])
    cut.daemon = True
    cut.start()
    try:
        connection.request("POST", _target(parts), body=payload, headers=dict(headers))
        return Outcome(answer=connection.getresponse().status)
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        # A line that is cut in the middle shows as an error of whatever was being read.
        return Outcome(problem=str(error) or type(error).__name__)
    finally:
        cut.cancel()
        connection.close()


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _address_of(parts: SplitResult, port: int, allowed: Allowed) -> str:
    """The address to which a name leads.

    Raises
    ------
    OSError
        If it leads nowhere, one of its addresses into a private network that is not allowed, or
        without encryption anywhere else.
    """
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OSError("webhook_unknown_host") from error
    addresses = [str(info[4][0]) for info in found]
    exempt = allowed.names(host) or all(allowed.holds(address) for address in addresses)
    if not exempt and parts.scheme != "https":
        raise OSError("webhook_https")
    if not exempt and not all(is_public(one) or allowed.holds(one) for one in addresses):
        raise OSError("webhook_private")
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address can be reached from everywhere; raises ValueError for another text.

    Addresses that wrap another one (IPv4 in IPv6, 6to4, Teredo, NAT64) are as public as that.
    """
    found = ipaddress.ip_address(address.split("%")[0])
    return all(one.is_global and not one.is_multicast for one in _unwrapped(found))


def _unwrapped(
    found: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> Iterable[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    if found.ipv4_mapped:
        return [found.ipv4_mapped]
    if found.sixtofour:
        return [found.sixtofour]
    if found.teredo:
        return found.teredo
    if found in _NAT64:
        return [ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)]
    return [found]


class _Line(http.client.HTTPConnection):
    """A connection to the address that was looked at, under the name that was asked for."""

    def __init__(self, host: str, port: int, address: str, secure: bool) -> None:
        super().__init__(host, port, timeout=SECONDS_TO_CONNECT)
        self.address, self.secure = address, secure
        self.default_port = 443 if secure else 80

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.secure:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(
                self.sock, server_hostname=self.host, do_handshake_on_connect=False
            )
            self.sock.do_handshake()


def _connection(parts: SplitResult, address: str, port: int) -> _Line:
    return _Line(parts.hostname or "", port, address, parts.scheme == "https")


def _cut(connection: _Line) -> None:
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def is_plainly_private(host: str) -> bool:
    """Whether a host is private already by its looks: an address, or a name of one's own network."""
    try:
        return not is_public(host)
    except ValueError:
        return "." not in host.rstrip(".") or host.rstrip(".").endswith(
            (".localhost", ".local", ".internal")
        )
