"""What keeps a warehouse fast and whole: build, compact, check, repair."""
