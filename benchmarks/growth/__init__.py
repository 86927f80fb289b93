"""How cost grows with images stored, with labels, and with requests in flight."""
