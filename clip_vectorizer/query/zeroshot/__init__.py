"""Zero-shot classification: the nearest label of each image, and a softmax over all labels. numpy, no torch."""
