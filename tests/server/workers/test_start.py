"""All fronts together take in what one process would."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.settings import Settings, share_settings

COUNTS = st.integers(2, 64)
AMOUNTS = st.integers(1, 2000)


@given(processes=COUNTS, max_queue=AMOUNTS, max_items=AMOUNTS)
def test_a_front_takes_its_share_but_one_whole_request_at_least(processes: int, max_queue: int, max_items: int) -> None:
    limits = Limits(max_queue=max_queue, max_items=max_items, max_queue_bytes=max_queue, max_body_bytes=max_items)
    share = share_settings(Settings(processes=processes, limits=limits)).limits
    assert share.max_queue == share.max_queue_bytes
    assert min(max_items, max_queue) <= share.max_queue <= max_queue
    assert share.max_queue * processes <= max(max_queue, min(max_items, max_queue) * processes)


@given(processes=COUNTS)
def test_what_is_not_a_total_stays_and_rows_are_kept_by_the_engine_alone(processes: int) -> None:
    share = share_settings(Settings(processes=processes))
    assert share.decode_threads >= 1
    assert share.limits == replace(
        Limits(), cache_bytes=0, max_queue=share.limits.max_queue, max_queue_bytes=share.limits.max_queue_bytes
    )
