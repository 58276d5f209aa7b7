"""Neurons for a text, like a neuron, as a sum; and the images of one."""
