"""Whether a neuron matters: it is set, all that follows runs again, and what the model says is compared."""
