"""The soak in its short form; `make soak` runs it in full."""

from tests.faults.soak import soak

REQUESTS = 1000
# So few requests do not warm a process up: every size of batch, and of picture, must have been seen by every thread.
# What leaks shows in 20,000, which may grow by half of this.
WARM_UP, MEMORY_SHARE = 0.5, 0.1


def test_a_thousand_requests_a_tenth_of_them_bad_get_the_right_answers_and_memory_stays() -> None:
    result = soak(REQUESTS, warm_up=WARM_UP, memory_share=MEMORY_SHARE)
    assert result.passed(), "\n".join(result.report())
    assert len(result.kinds) > 12, "the soak lost its variety"
