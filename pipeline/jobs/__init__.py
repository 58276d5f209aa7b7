"""Whole jobs: from a configuration, and the demo."""
