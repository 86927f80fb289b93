from enum import StrEnum

MOST_DISTANCE = 15  # beyond it the bands below are so short that everything would be compared with everything


class Fit(StrEnum):
    """What becomes of the long side, which the model's square input has no room for."""

    CROP = "crop"  # the model's own way: most models cut off both ends
    PAD = "pad"  # white is added on the short side, so that the whole page is seen


class Keep(StrEnum):
    """What of an image stays in the database, beside its vector and what is known of it."""

    FULL = "full"  # the file and a thumbnail
    THUMBNAIL = "thumbnail"
    HASH = "hash"  # no picture
    NONE = "none"  # no picture and no hash of one: equal files are not recognised, only equal stamps
