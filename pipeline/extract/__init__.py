"""Extraction: images in, the activations of neurons out."""
