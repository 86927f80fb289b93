"""A connection accepted here is served by another process, and counted until it is closed."""

import socket

import pytest

from clip_vectorizer.server.workers.socket_passing import ConnectionSender, HandoffListener


@pytest.fixture
def pair() -> tuple[ConnectionSender, HandoffListener]:
    ours, theirs = socket.socketpair()
    listener = HandoffListener(fileno=theirs.detach())
    listener.setblocking(False)
    return ConnectionSender(ours), listener


def test_a_connection_handed_over_lives_on_and_is_counted_until_it_is_closed(
    pair: tuple[ConnectionSender, HandoffListener],
) -> None:
    hand, listener = pair
    here, there = socket.socketpair()
    with here, listener:
        assert hand.send(there)
        there.close()
        accepted, _ = listener.accept()
        here.sendall(b"hello")
        assert (accepted.recv(9), hand.count, hand.read_closed()) == (b"hello", 1, True)
        accepted.close()
        accepted.close()
        assert hand.read_closed() and hand.count == 0
        assert here.recv(9) == b""
    hand.close()


def test_with_nothing_handed_over_a_listener_waits(pair: tuple[ConnectionSender, HandoffListener]) -> None:
    hand, listener = pair
    with listener, pytest.raises(BlockingIOError):
        listener.accept()
    hand.close()


def test_a_front_that_is_gone_takes_no_connection(pair: tuple[ConnectionSender, HandoffListener]) -> None:
    hand, listener = pair
    listener.close()
    here, there = socket.socketpair()
    with here, there:
        assert not hand.send(there)
    assert hand.count == 0
    assert not hand.read_closed()
    hand.close()
