"""One picture of a person's own, as a model and the neurons of one of its runs see it."""
