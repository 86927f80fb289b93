"""A grounder in a sidecar: one picture at a time on the model's own thread, and batches of others in its breaks."""

import asyncio
import io
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.images.settings import USUAL_DECODING
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.server.app import build_app
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.grounding import DeviceGrounding, DeviceRunner, open_picture
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder, vectors_of
from tests.server.clients import ORIGIN, RED, base64_of, file_of

SMALL = Image.new("RGB", (8, 8))


@dataclass
class StepGrounder:
    """Takes `steps` breaks for each picture; `spoil` changes its answer."""

    steps: int = 3
    seconds: float = 0.002
    fused: bool = False
    spoil: Callable[[Groundings], Groundings] = lambda found: found
    log: list[str] = field(default_factory=list)

    @property
    def info(self) -> GrounderInfo:
        return GrounderInfo("steps", "1", self.fused)

    def propose(self, image: Image.Image, limit: int) -> Regions:
        return self.ground(image, [["x"]]).regions

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        for step in range(self.steps):
            self.log.append(f"{phrases[0][0]} {step} {threading.current_thread().name}")
            time.sleep(self.seconds)
            run_break_work()
        scores = np.zeros((len(phrases), 1), np.float32)
        regions = Regions(np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32))
        return self.spoil(Groundings(regions, scores, scores))


@dataclass
class ListedEncoder(HashEncoder):
    """Notes each pass and its thread in the log of a grounder."""

    log: list[str]

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        self.log.append(f"texts {len(texts)} {threading.current_thread().name}")
        return super().encode_texts(texts)

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        self.log.append(f"images {len(images)} {threading.current_thread().name}")
        return super().encode_images(images)


def ignore(_operation: str, _seconds: float) -> None:
    pass


def prepared(grounder: StepGrounder) -> tuple[DeviceGrounding, Batcher]:
    batcher = Batcher([ListedEncoder(grounder.log)], 8)
    return DeviceGrounding(grounder, DeviceRunner(batcher, ignore)), batcher


def test_batches_of_texts_and_images_run_in_the_breaks_of_a_picture_on_the_same_thread() -> None:
    grounder = StepGrounder(steps=20)

    async def run() -> None:
        grounding, batcher = prepared(grounder)
        asking = asyncio.create_task(grounding.ground(object(), SMALL, [["cat"]]))
        await asyncio.sleep(0.01)
        await batcher.encode("text", object(), HashEncoder().prepare_text("a"))
        await batcher.encode("image", object(), np.zeros((4, 4, 3), np.uint8))
        assert not asking.done()
        await asking

    asyncio.run(run())
    kinds = [line.split()[0] for line in grounder.log]
    assert kinds[0] == kinds[-1] == "cat" and {"texts", "images"} < set(kinds)
    assert len({line.rpartition(" ")[2] for line in grounder.log}) == 1


def test_requests_take_turns_picture_by_picture() -> None:
    grounder = StepGrounder(steps=1)

    async def run() -> None:
        grounding, _ = prepared(grounder)
        many, one = object(), object()
        await asyncio.gather(
            *(grounding.ground(many, SMALL, [[f"many{n}"]]) for n in range(3)), grounding.ground(one, SMALL, [["one"]])
        )

    asyncio.run(run())
    assert [line.split()[0] for line in grounder.log] == ["many0", "many1", "one", "many2"]


def test_a_picture_whose_caller_left_before_its_turn_is_not_looked_at() -> None:
    grounder = StepGrounder(steps=3)

    async def run() -> None:
        grounding, _ = prepared(grounder)
        first = asyncio.create_task(grounding.ground(object(), SMALL, [["first"]]))
        second = asyncio.create_task(grounding.ground(object(), SMALL, [["second"]]))
        await asyncio.sleep(0)
        second.cancel()
        await first
        await grounding.ground(object(), SMALL, [["third"]])

    asyncio.run(run())
    assert {line.split()[0] for line in grounder.log} == {"first", "third"}


def break_numbers(found: Groundings) -> Groundings:
    return Groundings(found.regions, found.similarities_pn, found.probabilities_pn * np.nan)


def lose_rows(found: Groundings) -> Groundings:
    return Groundings(found.regions, found.similarities_pn[:0], found.probabilities_pn)


def lose_boxes(found: Groundings) -> Groundings:
    regions = Regions(found.regions.boxes_n4[:0], found.regions.objectness_n)
    return Groundings(regions, found.similarities_pn, found.probabilities_pn)


def crash(_found: Groundings) -> Groundings:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (break_numbers, "the grounder gave NaN or infinity"),
        (lose_rows, r"the grounder returned \(0, 1\) scores for \(1, 1\) phrases and regions"),
        (lose_boxes, "the grounder returned 0 boxes and 1 scores"),
        (crash, "the grounder failed: a bug"),
    ],
)
def test_a_broken_answer_is_an_error_with_a_sentence(spoil: Any, sentence: str) -> None:
    async def run() -> None:
        grounding, _ = prepared(StepGrounder(steps=1, spoil=spoil))
        with pytest.raises(EncoderFailed, match=sentence):
            await grounding.ground(object(), SMALL, [["cat"]])

    asyncio.run(run())


def lose_device(_found: Groundings) -> Groundings:
    raise DeviceLost("cuda:0 is lost")


def test_a_lost_device_ends_the_sidecar() -> None:
    deaths: list[BaseException] = []

    async def run() -> None:
        batcher = Batcher([HashEncoder()], 8, on_death=deaths.append)
        grounding = DeviceGrounding(StepGrounder(steps=1, spoil=lose_device), DeviceRunner(batcher, ignore))
        for _ in range(2):
            with pytest.raises(EncoderFailed, match="this sidecar ends"):
                await grounding.ground(object(), SMALL, [["cat"]])

    asyncio.run(run())
    assert [str(death) for death in deaths] == ["cuda:0 is lost"]


def client(grounder: StepGrounder, **limits: Any) -> httpx.AsyncClient:
    service = Service(Limits(**limits))
    service.use(HashEncoder(), grounder=grounder)
    app = build_app(service, Settings())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app, raise_app_exceptions=False), base_url=ORIGIN)


def test_vectors_are_answered_while_a_picture_is_looked_at() -> None:
    async def run() -> None:
        async with client(StepGrounder(steps=200)) as asking:
            body = {"image": base64_of(RED), "phrases": [["a cat"]]}
            slow = asyncio.create_task(asking.post("/ground", json=body))
            await asyncio.sleep(0.02)
            quick = await asking.post("/vectorize", json={"texts": ["a"], "images": [base64_of(RED)]})
            assert quick.status_code == 200 and not slow.done()
            assert (await slow).status_code == 200
            page = (await asking.get("/metrics")).text
            assert 'clip_grounder_seconds_count{operation="ground"} 1.0' in page

    asyncio.run(run())


def test_a_picture_that_takes_longer_than_the_deadline_is_a_503() -> None:
    async def run() -> None:
        async with client(StepGrounder(steps=1, seconds=0.4), deadline_seconds=0.1) as asking:
            answer = await asking.post("/regions", json={"images": [base64_of(RED)]})
            assert answer.status_code == 503 and "no answer within" in answer.json()["error"]

    asyncio.run(run())


def test_regions_of_a_grounder_without_vectors_get_those_of_their_crops() -> None:
    async def run() -> None:
        async with client(StepGrounder()) as asking:
            picture = Image.effect_noise((9, 5), 90).convert("RGB")
            body = {"images": [base64_of(file_of(picture))], "vectors": True}
            [found] = (await asking.post("/regions", json=body)).json()["regions"]
            crop = HashEncoder().prepare_image(cut_region(picture, (0, 0, 1, 1)))
            np.testing.assert_allclose(found["vectors"], vectors_of([crop.tobytes()]), atol=1e-6)

    asyncio.run(run())


def test_a_grounder_that_needs_phrases_names_the_other_route() -> None:
    async def run() -> None:
        async with client(StepGrounder(fused=True)) as asking:
            answer = await asking.post("/regions", json={"images": [base64_of(RED)]})
            assert answer.status_code == 501 and "POST /ground" in answer.json()["error"]
            body = {"image": base64_of(RED), "phrases": [["a cat"]]}
            assert (await asking.post("/ground", json=body)).status_code == 200

    asyncio.run(run())


def test_the_item_whose_numbers_are_broken_is_named() -> None:
    async def run() -> None:
        async with client(StepGrounder(spoil=break_numbers)) as asking:
            answer = await asking.post("/ground", json={"image": base64_of(RED), "phrases": [["a cat"]]})
            assert (answer.status_code, answer.json()["error"]) == (500, "image: the grounder gave NaN or infinity")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("size", "kept"), [((300, 200), (300, 200)), ((4000, 3000), (2000, 1500)), ((30_000, 900), (15_000, 450))]
)
def test_a_picture_keeps_what_a_grounder_reads(size: tuple[int, int], kept: tuple[int, int]) -> None:
    assert open_picture(file_of(Image.new("L", size, 7), "PNG"), USUAL_DECODING).size == kept


def test_a_large_jpeg_is_upright_and_has_whole_pixels() -> None:
    image = Image.new("RGB", (2101, 4001), "red")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    picture = open_picture(buffer.getvalue(), USUAL_DECODING)
    assert picture.mode == "RGB" and abs(picture.width / picture.height - 4001 / 2101) < 0.01
    assert 1024 <= picture.height < 2101
