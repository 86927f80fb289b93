"""Labels, their vectors, and named label sets."""
