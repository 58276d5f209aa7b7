"""Foreign layouts become registered datasets: shards of our normal form, and an index of them."""
