"""Where a neuron answers: its activation at every place of single images and texts, and pictures of it."""
