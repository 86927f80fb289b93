"""Which servers may be contacted to read an image: those of the public internet, and those that the user allows.

The address of an image is input: it may come from a table or a form that a stranger filled in. Opened without a check,
`http://169.254.169.254/` would read a cloud's credentials, and `http://10.0.0.5/` a server that only this machine can
reach (server-side request forgery). Weaviate's and the sidecar's own addresses are settings, and not checked here.
"""

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Self

from clip_vectorizer.errors import AddressRefused, InputError

IpAddress = IPv4Address | IPv6Address
HostResolver = Callable[[str, int], Sequence[str]]  # the numeric addresses of a host; raises OSError

ALL = "all"
THIS_MACHINE, PRIVATE, RESERVED = "an address of this machine", "an address of a private network", "a reserved address"
LINK_LOCAL = "a link-local address, where clouds serve credentials"
MULTICAST = "a multicast address"
# Of IANA's special-purpose registries (https://www.iana.org/assignments/iana-ipv4-special-registry, -ipv6-). Not
# `ipaddress.is_global`: what that returns depends on the version of Python; in 3.11 it is true for 64:ff9b:1::/48,
# fec0::/10, 192.88.99.0/24 and multicast.
REFUSED_NETWORKS: Sequence[tuple[IPv4Network | IPv6Network, str]] = [
    (ip_network(network), kind)
    for kind, networks in {
        THIS_MACHINE: ("0.0.0.0/8", "127.0.0.0/8", "::/128", "::1/128"),
        PRIVATE: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10"),
        "an address that a provider shares among its customers": ("100.64.0.0/10",),
        LINK_LOCAL: ("169.254.0.0/16", "fe80::/10"),
        "an address at which Azure serves its machines": ("168.63.129.16/32",),
        MULTICAST: ("224.0.0.0/4", "ff00::/8"),
        RESERVED: (
            *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            "240.0.0.0/4",
            *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),  # Teredo, documentation, 6to4
        ),
    }.items()
    for network in networks
]
PUBLIC_IPV6 = IPv6Network("2000::/3")  # all of it that is given out
NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address in its last 32 bits (RFC 6052)
HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # as the last label: then the host is an IPv4 address, or nothing
LOCAL_NAMES = ("localhost", "localdomain", "ip6-localhost", "ip6-loopback")
MAX_CONNECTED = 4  # addresses of one host that are tried: each may take the whole timeout


def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return all numeric addresses of `host`, in the order in which to try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Decides by numeric addresses, after DNS. By default nothing but the public internet is allowed."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()  # in lower case; their addresses are not checked
    allows_all: bool = False
    resolver: HostResolver = resolve_host

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """`words`: hosts, addresses and networks that are allowed besides the public ones, or `all`.

        >>> AddressGuard.parse(["localhost", "10.0.0.0/8,192.168.1.7"]).hosts
        frozenset({'localhost'})

        Raises InputError.
        """
        guard = cls()
        for word in (part.strip() for each in words for part in each.split(",")):
            guard = guard._allow(word) if word else guard
        return guard

    def _allow(self, word: str) -> Self:
        name = normalize_host(word)
        if name == ALL:
            return replace(self, allows_all=True)
        try:
            return replace(self, networks=(*self.networks, ip_network(name, strict=False)))
        except ValueError:
            pass
        if not HOST.fullmatch(name):
            raise InputError(
                f"--allow-address {word!r}: neither a host nor a network; write for example localhost, 10.0.0.7 or "
                "10.0.0.0/8, without http:// and without a port"
            )
        return replace(self, hosts=self.hosts | {name})

    def allows_host(self, host: str) -> bool:
        """Whether `host` is allowed as it is written: by its name, or as a number in one of the networks."""
        name = normalize_host(host)
        if self.allows_all or name in self.hosts:
            return True
        try:
            return self._allows(ip_address(name))
        except ValueError:
            return False

    def resolve(self, host: str, port: int) -> Sequence[str]:
        """Return the numeric addresses to connect to, all checked. Connect to these, or a second answer may differ.

        Raises AddressRefused if one of them is not allowed, OSError for a host that does not exist.
        """
        addresses = self.resolver(host, port)
        if not self.allows_host(host):
            for address in addresses:
                self._check(host, address)
        return addresses[:MAX_CONNECTED]

    def check_unresolved(self, host: str) -> None:
        """Check a host whose address a proxy looks up: as far as its name itself is an address. Raises AddressRefused.

        Whatever a proxy might read as a number is one here: it need not agree with this machine about spellings.
        """
        name = normalize_host(host)
        if self.allows_host(host):
            return
        if name in LOCAL_NAMES or name.endswith(tuple(f".{each}" for each in LOCAL_NAMES)):
            raise AddressRefused(host, "", THIS_MACHINE)
        if ":" in name or NUMBER.fullmatch(name.rpartition(".")[2]):
            self._check(host, parse_number(host, name))
        elif not HOST.fullmatch(name):
            raise AddressRefused(host, "", RESERVED)

    def _check(self, host: str, address: str) -> None:
        """Raises AddressRefused."""
        ip = ip_address(address)
        kind = find_refusal(ip)
        if kind and not self._allows(ip):
            raise AddressRefused(host, address, kind)

    def _allows(self, ip: IpAddress) -> bool:
        return any(form in network for form in {ip, unwrap(ip)} for network in self.networks)


PUBLIC_ONLY = AddressGuard()


def normalize_host(host: str) -> str:
    """
    >>> normalize_host("LocalHost."), normalize_host("[::1]")
    ('localhost', '::1')
    """
    return host.strip().lower().removeprefix("[").removesuffix("]").rstrip(".")


def parse_number(host: str, name: str) -> str:
    """Return the numeric address that `name` is: 127.1, 0x7f000001, 2130706433 or ::1. Raises AddressRefused."""
    try:
        return str(IPv6Address(name)) if ":" in name else socket.inet_ntoa(socket.inet_aton(name))
    except (OSError, ValueError):
        raise AddressRefused(host, "", RESERVED) from None


def find_refusal(ip: IpAddress) -> str:
    """Return what is wrong with an address, "" for a public one.

    >>> find_refusal(ip_address("::ffff:10.0.0.1")), find_refusal(ip_address("8.8.8.8"))
    ('an address of a private network', '')
    """
    ip = unwrap(ip)
    for network, kind in REFUSED_NETWORKS:
        if ip in network:
            return kind
    return RESERVED if ip.version == 6 and ip not in PUBLIC_IPV6 else ""


def unwrap(ip: IpAddress) -> IpAddress:
    """Return the IPv4 address to which packets for an IPv6 address go, where that is part of it; else `ip`."""
    if not isinstance(ip, IPv6Address):
        return ip
    if ip.ipv4_mapped:
        return ip.ipv4_mapped
    return IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip
