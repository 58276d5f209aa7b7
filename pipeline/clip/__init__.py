"""Any CLIP model: its name, weights and network, its layers and where their units are."""
