"""Benchmarks: ratios measured side by side in one run. ``python -m bench``, or ``make bench``."""

import pipeline.extract  # noqa: F401  # before torch: it says how torch's threads wait
