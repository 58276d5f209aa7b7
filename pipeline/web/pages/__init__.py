"""One module for each kind of page: what it asks, and the template that it fills."""
