"""Training nano: a small CLIP of our own, from packages alone."""

import os

# As in pipeline.extract: threads that wait must sleep, or every other process on the machine slows them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
