"""A request of many large pictures takes its turn like any other."""

from concurrent.futures import Future
from typing import Any

from PIL import Image

from tests.faults.memory import growth_of
from tests.faults.pictures import file_of, noise, plain
from tests.faults.processes import Sidecar, faulty
from tests.faults.requests import base64_of, fresh, settle, together

MEGABYTE = 1_000_000
LARGE = 40  # pictures of 12 megapixels: 36 MB each once decoded, 1.4 GB in all
SMALL = 6


def test_small_requests_overtake_a_large_one_and_memory_is_bounded() -> None:
    picture = file_of(Image.linear_gradient("L").resize((4000, 3000)).convert("RGB"))  # a PNG: nothing to skip in it
    pictures = [base64_of(picture + bytes([number])) for number in range(LARGE)]  # a byte after its end: none are equal
    with faulty() as sidecar, growth_of(sidecar.child.pid) as growth, together() as start:
        large = start(sidecar.vectorize, [], pictures)
        settle()
        for number in range(SMALL):
            assert sidecar.vectorize([fresh("good")], [base64_of(plain((number, 0, 0)))]).status_code == 200
        assert not large.done(), "small requests waited until the large one was done"
        assert len(answered(large)["imageVectors"]) == LARGE
    assert growth.bytes < 1000 * MEGABYTE, f"{growth.bytes / 1e6:.0f} MB"


def answered(future: Future[Any]) -> dict[str, Any]:
    answer = future.result()
    assert answer.status_code == 200, answer.text
    fields: dict[str, Any] = answer.json()
    return fields


def test_texts_do_not_wait_behind_images(sidecar: Sidecar) -> None:
    """Of two requests at once, a hundred pictures and one text, the text is answered first."""
    pictures = [base64_of(noise(640, 480)) for _ in range(100)]
    with together() as start:
        images = start(sidecar.vectorize, [], pictures)
        text = start(sidecar.vectorize, [fresh("good")])
        assert text.result().status_code == 200
        assert not images.done()
        assert len(answered(images)["imageVectors"]) == 100
