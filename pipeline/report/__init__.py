"""Pictures of what was found: a neuron's card and a run's report, as PNG and as self-contained HTML."""
