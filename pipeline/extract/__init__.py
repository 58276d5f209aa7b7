"""Extraction: a dataset's shards through a model. ``run.py`` is the main path.

Threads that wait for OpenMP should sleep, not spin: decoding threads need the core. PyTorch's OpenMP
reads the policy once, when torch is first imported; a policy that is set already is kept.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
