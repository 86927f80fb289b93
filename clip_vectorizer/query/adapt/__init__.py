"""Better than plain CLIP at no training cost: a few-shot cache, a linear probe, mean removal, "none of these"."""
