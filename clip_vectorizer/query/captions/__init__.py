"""Captions for stored images, of known words or by a model; and questions about images."""
