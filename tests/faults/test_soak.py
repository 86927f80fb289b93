"""The soak in its short form; `make soak` runs it in full."""

from tests.faults.soak import soak

REQUESTS = 1000
WARM_UP = 0.5  # so few requests warm up slowly: every size of batch must have been seen


def test_a_thousand_requests_a_tenth_of_them_bad_get_the_right_answers_and_memory_stays() -> None:
    result = soak(REQUESTS, warm_up=WARM_UP)
    assert result.passed(), "\n".join(result.report())
    assert len(result.kinds) > 12, "the soak lost its variety"
