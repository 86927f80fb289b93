"""Models that describe a picture in words: CoCa of open_clip, BLIP and Florence-2 of transformers."""
