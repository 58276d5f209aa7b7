"""What figures of the paper ask of a model itself, beside the images of its run."""
