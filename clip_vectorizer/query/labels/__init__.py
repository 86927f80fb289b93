"""Labels, their vectors, and the sets that they stand in."""
