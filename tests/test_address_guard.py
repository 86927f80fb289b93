import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard, find_refusal
from clip_vectorizer.errors import AddressRefused, InputError

PUBLIC = ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
REFUSED = {
    "of this machine": ["127.0.0.1", "127.255.0.1", "0.0.0.0", "0.1.2.3", "::", "::1"],
    "of a private network": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fd00:ec2::254", "fec0::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "shares among": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "Azure": ["168.63.129.16"],
    "multicast": ["224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"],
    "reserved": [
        *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "255.255.255.255"),
        *("240.0.0.1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "3fff::1", "64:ff9b:1::808:808"),
        *("::7f00:1", "100::1", "5f00::1", "4000::1"),
    ],
}
IPV4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
IPV6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)
LOCAL_SPELLINGS = [
    *("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "0X7F.0.0.1"),
    *("2130706433", "017700000001", "0177.0.0.1", "0", "0.0.0.0", "::1", "[::1]", "0:0:0:0:0:0:0:1"),
    *("::ffff:127.0.0.1", "[::ffff:7f00:1]", "64:ff9b::7f00:1"),
]
FOR_A_PROXY = [
    *LOCAL_SPELLINGS,
    *("127.0.0.1.", "x.localhost", "localhost.localdomain", "ip6-localhost", "169.254.169.254", "0xa9fea9fe"),
    *("%31%32%37.0.0.1", "127.0.0.1%00.example.com", "1.2.3.4.5", "0x", "127.0.0.1 ", "08.1", "a b", "", "::1%25lo"),
]


def answering(*addresses: str, guard: AddressGuard = PUBLIC_ONLY) -> AddressGuard:
    """A guard for which every host has these addresses."""
    return replace(guard, resolver=lambda host, port: addresses)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert answering(address).resolve("example.com", 80) == (address,)


@pytest.mark.parametrize(("kind", "address"), [(kind, each) for kind, some in REFUSED.items() for each in some])
def test_an_address_that_is_not_public_is_refused_with_its_kind(kind: str, address: str) -> None:
    with pytest.raises(AddressRefused, match=kind):
        answering(address).resolve("example.com", 80)


@given(IPV4)
def test_nothing_that_python_calls_private_or_multicast_is_allowed(ip: ipaddress.IPv4Address) -> None:
    assert find_refusal(ip) or (ip.is_global and not ip.is_multicast and not ip.is_private)


@given(IPV6)
def test_no_ipv6_address_outside_of_those_given_out_is_allowed(ip: ipaddress.IPv6Address) -> None:
    assert find_refusal(ip) or (not ip.is_private and int(ip) >> 125 == 1)


@given(IPV4)
def test_an_ipv4_address_is_judged_equally_in_every_form_of_ipv6(ip: ipaddress.IPv4Address) -> None:
    for prefix in ("::ffff:0:0", "64:ff9b::"):
        inside = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | int(ip))
        assert find_refusal(inside) == find_refusal(ip)


@pytest.mark.parametrize("host", [each for each in LOCAL_SPELLINGS if each[0] != "[" and each[-1] != "."])
def test_this_machine_is_recognised_in_every_spelling_that_the_system_reads(host: str) -> None:
    with pytest.raises(AddressRefused, match="of this machine"):
        PUBLIC_ONLY.resolve(host, 80)


@pytest.mark.parametrize("host", FOR_A_PROXY)
def test_a_proxy_is_sent_no_number_and_no_local_name(host: str) -> None:
    with pytest.raises(AddressRefused):
        PUBLIC_ONLY.check_unresolved(host)


@pytest.mark.parametrize(
    "host", ["example.com", "Example.COM.", "8.8.8.8", "134744072", "xn--bcher-kva.example", "a_b.c"]
)
def test_a_proxy_is_sent_public_numbers_and_names(host: str) -> None:
    PUBLIC_ONLY.check_unresolved(host)


def test_one_refused_address_among_several_refuses_the_host() -> None:
    for addresses in (("8.8.8.8", "10.0.0.1"), ("10.0.0.1", "8.8.8.8")):
        with pytest.raises(AddressRefused, match=r"example\.com is at 10\.0\.0\.1, an address of a private network"):
            answering(*addresses).resolve("example.com", 80)


def test_a_host_is_looked_up_once() -> None:
    asked: list[tuple[str, int]] = []

    def resolver(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["8.8.8.8"] if len(asked) == 1 else ["127.0.0.1"]

    assert replace(PUBLIC_ONLY, resolver=resolver).resolve("example.com", 443) == ["8.8.8.8"]
    assert asked == [("example.com", 443)]


@pytest.mark.parametrize(
    ("words", "address", "allowed"),
    [
        (["127.0.0.1"], "127.0.0.1", True),
        (["127.0.0.1"], "127.0.0.2", False),
        (["127.0.0.1"], "::ffff:127.0.0.1", True),
        (["10.0.0.0/8, 192.168.1.7"], "10.9.8.7", True),
        (["10.0.0.0/8", "192.168.1.7"], "192.168.1.7", True),
        (["10.0.0.9/8"], "64:ff9b::a00:1", True),
        (["10.0.0.0/8"], "169.254.169.254", False),
        (["fd00::/8"], "fd12::1", True),
        (["[::1]"], "::1", True),
        (["pictures.lan"], "10.0.0.1", True),
        (["PICTURES.lan."], "10.0.0.1", True),
        (["lan"], "10.0.0.1", False),
        (["all"], "169.254.169.254", True),
        (["", " , "], "10.0.0.1", False),
    ],
)
def test_what_the_user_names_is_allowed_and_nothing_else(words: list[str], address: str, allowed: bool) -> None:
    guard = answering(address, guard=AddressGuard.parse(words))
    if allowed:
        assert guard.resolve("pictures.lan", 80) == (address,)
    else:
        with pytest.raises(AddressRefused):
            guard.resolve("pictures.lan", 80)


@pytest.mark.parametrize("word", ["http://localhost", "localhost:8000", "10.0.0.0/33", "*.lan", "a b", "10.0.0.0/8/8"])
def test_a_word_that_allows_nothing_is_refused(word: str) -> None:
    with pytest.raises(InputError, match="neither a host nor a network; write for example localhost"):
        AddressGuard.parse([word])


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ("127.0.0.1", "127.0.0.1 is an address of this machine; only public addresses are opened"),
        ("pictures.lan", "pictures.lan is at 127.0.0.1, an address of this machine; only public addresses are opened"),
    ],
)
def test_a_refusal_names_the_address_and_the_option(host: str, sentence: str) -> None:
    with pytest.raises(AddressRefused) as refused:
        answering("127.0.0.1").resolve(host, 80)
    assert str(refused.value).startswith(sentence) and f"--allow-address {host}" in str(refused.value)
    AddressGuard.parse([host])  # what the sentence says to add


def test_few_of_many_addresses_are_tried() -> None:
    assert len(answering(*(f"8.8.8.{last}" for last in range(200))).resolve("example.com", 80)) == 4
