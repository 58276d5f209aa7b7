"""Training nano: a small CLIP of our own, from packages alone."""
