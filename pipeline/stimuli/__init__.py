"""Controlled stimuli: images whose concept, facet, language and font are known by construction."""
