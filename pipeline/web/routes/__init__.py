"""Addresses beside those of runs, layers and neurons, a file for each kind."""
