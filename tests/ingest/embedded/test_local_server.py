import socket

import pytest

from ingest.embedded.local_server import (
    ATTEMPTS,
    PortTaken,
    find_free_pair,
    find_free_ports,
    reports_taken_port,
    retry_with_fresh_ports,
)


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = find_free_ports(8)
    assert len(set(ports)) == 8
    for port in ports:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", port))


def test_a_pair_is_two_neighbours() -> None:
    first, second = find_free_pair()
    assert second == first + 1


def test_a_start_that_lost_its_port_is_made_again() -> None:
    answers = iter([PortTaken("8080"), PortTaken("8081"), "ready"])
    assert retry_with_fresh_ports(lambda: raise_or_give(next(answers))) == "ready"


def test_a_port_that_is_always_taken_is_an_error_in_the_end() -> None:
    tries: list[int] = []

    def attempt() -> None:
        tries.append(1)
        raise PortTaken("8080")

    with pytest.raises(PortTaken):
        retry_with_fresh_ports(attempt)
    assert len(tries) == ATTEMPTS


def raise_or_give(answer: str | Exception) -> str:
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.mark.parametrize(
    ("log", "taken"),
    [
        ("listen tcp 127.0.0.1:8080: bind: address already in use", True),
        ("[Errno 98] error while attempting to bind on address: address already in use", True),
        ("panic: runtime error", False),
    ],
)
def test_a_taken_port_is_recognized_in_a_log(log: str, taken: bool) -> None:
    assert reports_taken_port(log) is taken
