"""All fronts together take in what one process would."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.server.limits import Limits, count_places
from clip_vectorizer.server.settings import Settings, share_settings

COUNTS = st.integers(2, 64)
AMOUNTS = st.integers(1, 2000)


@given(processes=COUNTS, max_queue=AMOUNTS, max_items=AMOUNTS, max_images=AMOUNTS)
def test_a_front_takes_its_share_but_one_whole_request_at_least(
    processes: int, max_queue: int, max_items: int, max_images: int
) -> None:
    limits = Limits(
        max_queue=max_queue,
        max_items=max_items,
        max_images=max_images,
        max_queue_bytes=max_queue,
        max_body_bytes=max_items,
    )
    share = share_settings(Settings(processes=processes, limits=limits)).limits
    for whole, most, request in (
        (max_queue, share.max_queue, limits.request_places),
        (max_queue, share.max_queue_bytes, max_items),
    ):
        assert min(request, whole) <= most <= whole
        assert most * processes <= max(whole, min(request, whole) * processes)


@given(max_items=AMOUNTS, max_images=AMOUNTS, images=st.integers(0, 2000), texts=st.integers(0, 2000))
def test_no_request_takes_more_places_than_the_limits_allow(
    max_items: int, max_images: int, images: int, texts: int
) -> None:
    if images <= max_images and images + texts <= max_items:
        assert count_places(texts, images) <= Limits(max_items=max_items, max_images=max_images).request_places


@given(processes=COUNTS)
def test_limits_that_are_no_totals_stay_and_the_engine_alone_caches_rows(processes: int) -> None:
    share = share_settings(Settings(processes=processes))
    assert share.decode_threads >= 1
    assert share.limits == replace(
        Limits(), cache_bytes=0, max_queue=share.limits.max_queue, max_queue_bytes=share.limits.max_queue_bytes
    )
