"""A tiny CLIP of known concepts, small enough to train on a CPU."""
