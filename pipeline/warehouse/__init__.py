"""The read door: DuckDB with every view over what is stored."""
