"""A search, from what is asked to what is found: flows of steps that know no connection."""
