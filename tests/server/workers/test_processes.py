"""Real processes: two in front, one with the model. A fake model where its numbers do not matter."""

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.server.decode import decode_pixels
from tests.fakes import DIMENSION
from tests.faults.processes import Sidecar, emoji, eventually, faulty
from tests.faults.requests import expected, fresh, held, refusal, settle, text_vectors, together
from tests.listening import list_listeners
from tests.server.clients import RED, base64_of

pytestmark = pytest.mark.alone

PREPARED = re.compile(r"worker process (\d) is prepared, pid (\d+)")
ENDS_SECONDS = 30.0
COUNT = 2


def pids(sidecar: Sidecar) -> list[int]:
    """Of the fronts there are now, the first before the second."""
    return list({number: int(pid) for number, pid in sorted(PREPARED.findall(sidecar.stderr()))}.values())


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie whose parent was killed does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def ended(sidecar: Sidecar, fronts: list[int]) -> bool:
    return sidecar.child.poll() is not None and not any(alive(pid) for pid in fronts)


@pytest.fixture(scope="module")
def shared() -> Iterator[Sidecar]:
    with faulty(CLIP_PROCESSES=COUNT) as sidecar:
        yield sidecar


def test_several_processes_listen_on_one_port_of_loopback(shared: Sidecar) -> None:
    assert list_listeners(shared.child.pid) == {("127.0.0.1", httpx.URL(shared.url).port)}


@pytest.fixture
def sidecar(shared: Sidecar) -> Iterator[Sidecar]:
    """The shared sidecar; it must still serve after the test."""
    yield shared
    assert shared.serves(), shared.stderr()


@contextmanager
def connections(sidecar: Sidecar, count: int) -> Iterator[list[http.client.HTTPConnection]]:
    """Opened one after the other, each used once."""
    lines = [http.client.HTTPConnection("127.0.0.1", sidecar.port) for _ in range(count)]
    for line in lines:
        answer(line)
    yield lines
    for line in lines:
        line.close()


def answer(line: http.client.HTTPConnection, path: str = "/.well-known/live") -> bytes:
    line.request("GET", path)
    return line.getresponse().read()


def test_connections_are_spread_evenly(sidecar: Sidecar) -> None:
    frozen = pids(sidecar)[0]
    sidecar.request("GET", "/meta")  # a connection that is there already
    with connections(sidecar, 6) as lines:
        os.kill(frozen, signal.SIGSTOP)
        try:
            for line in lines:
                line.request("GET", "/meta")
            settle()
            answered, _, _ = select.select([line.sock for line in lines], [], [], 0)
        finally:
            os.kill(frozen, signal.SIGCONT)
        assert len(answered) == 3
        assert [line.getresponse().status for line in lines] == [200] * 6


def test_equal_texts_through_both_fronts_get_equal_bits_and_one_pass(sidecar: Sidecar) -> None:
    text = fresh("good")
    with together() as start:
        answers = [start(sidecar.vectorize, [text]) for _ in range(8)]
    rows = {text_vectors(each.result()).tobytes() for each in answers}
    assert rows == {expected([text]).tobytes()}
    assert sidecar.encoded().count(text) == 1


def test_bad_items_fail_alone_with_their_reason(sidecar: Sidecar) -> None:
    good = fresh("good")
    with together() as start, held(sidecar, 0.3):
        poisoned = start(sidecar.vectorize, [fresh("poison")])
        unread = start(sidecar.vectorize, images=[base64_of(b"no image")])
        fine = start(sidecar.vectorize, [good])
        settle()
    assert "texts[0]" in refusal(poisoned.result(), 500)
    assert "images[0]" in refusal(unread.result(), 422)
    assert (text_vectors(fine.result()) == expected([good])).all()


def test_regions_come_through_both_fronts_and_are_counted_once_each(sidecar: Sidecar) -> None:
    asked = (
        ("/regions", {"images": [base64_of(RED)], "vectors": True}),
        ("/ground", {"image": base64_of(RED), "phrases": [["good"], ["fine"]]}),
        ("/ground", {"regions": {"vectors": np.eye(DIMENSION).tolist()}, "phrases": [["good"]]}),
    )
    before = sidecar.request("GET", "/metrics").text
    with connections(sidecar, COUNT) as lines:
        found, answered, scored = ([post(line, path, body) for line in lines] for path, body in asked)
    assert found[0] == found[1] and len(found[0]["regions"]) == 1
    assert answered[0] == answered[1] and len(answered[0]["probabilities"]) == 2
    assert scored[0] == scored[1] and len(scored[0]["probabilities"][0]) == DIMENSION
    after = sidecar.request("GET", "/metrics").text
    for operation in ("propose", "ground", "score"):
        name = "clip_grounder_seconds_count"
        assert counted(after, name, operation=operation) - counted(before, name, operation=operation) == COUNT
    assert "images[0]" in refusal(sidecar.request("POST", "/regions", json={"images": ["?"]}), 422)
    assert sidecar.request("GET", "/meta").json()["grounder"]["name"] == "tiles"


def post(line: http.client.HTTPConnection, path: str, body: dict[str, object]) -> Any:
    line.request("POST", path, json.dumps(body))
    return json.loads(line.getresponse().read())


def counted(page: str, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(page)
    samples = (sample for family in families for sample in family.samples)
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


def in_flight(sidecar: Sidecar) -> float:
    """Items, of all fronts."""
    return counted(sidecar.request("GET", "/metrics").text, "clip_items_in_flight")


def test_metrics_of_any_front_are_the_sums_of_all(sidecar: Sidecar) -> None:
    def seen(line: http.client.HTTPConnection) -> tuple[float, float, float]:
        page = answer(line, "/metrics").decode()
        return (
            counted(page, "clip_requests_total", route="/vectorize", status="200"),
            counted(page, "clip_batch_size_sum", kind="text"),
            counted(page, "clip_items_total", kind="text"),
        )

    with connections(sidecar, 4) as lines:
        before = seen(lines[0])
        for line in lines:
            line.request("POST", "/vectorize", f'{{"texts": ["{fresh("good")}"]}}')
            assert line.getresponse().read()
        assert {seen(line) for line in lines} == {tuple(each + 4 for each in before)}


def test_a_killed_front_takes_its_own_requests_with_it_and_is_replaced() -> None:
    texts = [fresh("good") for _ in range(12)]
    with faulty(CLIP_PROCESSES=COUNT) as sidecar:
        before = pids(sidecar)
        with together() as start:
            with suppress(httpx.TransportError), held(sidecar, 1.0):  # the text that holds the device may be lost too
                answers = [start(sidecar.vectorize, [text]) for text in texts]
                assert eventually(lambda: in_flight(sidecar) > len(texts))
                os.kill(before[0], signal.SIGKILL)
                assert httpx.get(f"{sidecar.url}/metrics").status_code == 200  # though one front only starts
            lost = [text for text, each in zip(texts, answers, strict=True) if each.exception()]
        for text, each in zip(texts, answers, strict=True):
            if text not in lost:
                assert (text_vectors(each.result()) == expected([text])).all()
        assert 0 < len(lost) < len(texts)
        assert eventually(lambda: pids(sidecar) != before, ENDS_SECONDS), sidecar.stderr()
        assert len(re.findall(r"worker process \d ended with", sidecar.stderr())) == 1
        assert "signal 9" in sidecar.stderr()
        with connections(sidecar, 4) as lines:
            assert all(b"dimension" in answer(line, "/meta") for line in lines)


def test_a_killed_engine_leaves_no_orphans() -> None:
    with faulty(CLIP_PROCESSES=COUNT) as sidecar:
        fronts = pids(sidecar)
        assert len(fronts) == COUNT and all(alive(pid) for pid in fronts)
        sidecar.child.kill()
        sidecar.child.wait()
        assert eventually(lambda: not any(alive(pid) for pid in fronts), 5.0)
        with pytest.raises(httpx.TransportError):
            sidecar.request("GET", "/.well-known/live")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_stop_answers_the_pending_requests_and_ends_all(number: signal.Signals, code: int) -> None:
    texts = [fresh("good") for _ in range(6)]
    with faulty(CLIP_PROCESSES=COUNT) as sidecar:
        fronts = pids(sidecar)
        with together() as start:
            with held(sidecar, 0.7):
                answers = [start(sidecar.vectorize, [text]) for text in texts]
                assert eventually(lambda: in_flight(sidecar) > len(texts))
                sidecar.child.send_signal(number)
            rows = [text_vectors(each.result()) for each in answers]
        assert np.concatenate(rows).tobytes() == expected(texts).tobytes()
        assert eventually(lambda: ended(sidecar, fronts), ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode % 256 in (code, 256 - number), sidecar.stderr()


def is_not_ready(line: http.client.HTTPConnection) -> bool:
    """Not ready, or already gone; a message of the engine to a front arrives a moment after its answers."""
    try:
        line.request("GET", "/.well-known/ready")
        answer = line.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return True
    return answer.status == 503


def test_a_dead_device_makes_every_front_not_ready_and_ends_all_with_an_error() -> None:
    with faulty(CLIP_PROCESSES=COUNT) as sidecar, connections(sidecar, COUNT) as lines:
        fronts = pids(sidecar)
        assert refusal(sidecar.vectorize([fresh("lost")]), 500, 503)
        for line in lines:
            assert eventually(lambda line=line: is_not_ready(line), ENDS_SECONDS)
        assert eventually(lambda: ended(sidecar, fronts), ENDS_SECONDS), sidecar.stderr()
        assert sidecar.child.returncode not in (0, -signal.SIGKILL)


def test_fronts_that_die_again_and_again_end_the_sidecar_with_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.server.workers.broken"],
        env={**os.environ, "CLIP_PORT": "0", "CLIP_PROCESSES": str(COUNT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "exit code 7" in done.stderr.splitlines()[-1]


def test_the_real_model_gives_what_it_gives_in_one_process() -> None:
    encoder = load_encoder(ModelName("emoji"), Placement())
    words = ["a red apple", "红苹果", "a dog"]
    with emoji(CLIP_PROCESSES=COUNT) as sidecar:
        body = {"texts": words, "images": [base64_of(RED)]}
        answers = [httpx.post(f"{sidecar.url}/vectorize", json=body) for _ in range(4)]
    assert len({each.content for each in answers}) == 1
    rows = np.array(answers[0].json()["textVectors"] + answers[0].json()["imageVectors"], np.float32)
    texts = encoder.encode_texts([encoder.prepare_text(word) for word in words])
    images = encoder.encode_images([decode_pixels(encoder, RED, DecodeSettings(1000))])
    np.testing.assert_allclose((rows * np.concatenate([texts, images])).sum(axis=1), 1, atol=1e-6)
