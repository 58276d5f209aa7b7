"""Tests of a model on written words: typographic attack and Stroop."""
