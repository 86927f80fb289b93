"""Improvements on plain CLIP without training: few-shot cache, linear probe, mean removal, threshold for "other"."""
