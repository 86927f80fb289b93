"""Search of one collection as flows of steps, independent of any connection."""
