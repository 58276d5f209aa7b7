"""What needs linear algebra: torch over stored activations and embeddings, written as Parquet for SQL."""
