"""The explorer: a page with a stable address for each neuron, over one warehouse; and the same as files."""
