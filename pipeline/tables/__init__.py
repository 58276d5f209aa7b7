"""The contract on disk, typed: tables, datasets, tars, records, and what is damaged of them."""
