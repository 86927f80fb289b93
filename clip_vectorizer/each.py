"""Many images where some may be bad: a vector for each good one, the reason for each bad one.

D dimensions
"""

from collections.abc import Callable, Sequence

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import about_one_file

NOT_ABOUT_IMAGES = (401, 403, 404, 405, 408)  # of the statuses under 500
Outcome = Vectors | SidecarRefused


def each_alone(images: Sequence[bytes], embed: Callable[[Sequence[bytes]], Vectors]) -> list[Outcome]:
    """For each its vector (D,) or its refusal. `embed` gives a row each or raises SidecarRefused for all.

    The good ones are asked for once more: a sidecar of ours has named all bad ones, and has the good ones' vectors.
    """
    if not images:
        return []
    try:
        return list(embed(images))
    except SidecarRefused as refusal:
        if not 400 <= refusal.status < 500 or refusal.status in NOT_ABOUT_IMAGES:
            raise  # not about an image: asking again would fail as often
        if refusal.refused:
            return without(refusal, images, embed)
        if len(images) == 1:
            return [SidecarRefused(refusal.status, about_one_file(str(refusal)))]
    half = len(images) // 2  # a sidecar that names one at most, or a request too large
    return each_alone(images[:half], embed) + each_alone(images[half:], embed)


def without(
    refusal: SidecarRefused, images: Sequence[bytes], embed: Callable[[Sequence[bytes]], Vectors]
) -> list[Outcome]:
    bad = {index: SidecarRefused(refusal.status, reason) for index, reason in refusal.refused.items()}
    good = iter(each_alone([image for index, image in enumerate(images) if index not in bad], embed))
    return [bad[index] if index in bad else next(good) for index in range(len(images))]
