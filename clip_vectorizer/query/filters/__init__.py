"""Which images: filter expressions, and what is said where no image has the value."""
