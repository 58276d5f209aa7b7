"""Pictures that a neuron draws: an input is climbed until the neuron answers strongly (Olah et al. 2017)."""
