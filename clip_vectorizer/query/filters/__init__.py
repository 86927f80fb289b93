"""Filter expressions, and suggestions for values that no image has."""
