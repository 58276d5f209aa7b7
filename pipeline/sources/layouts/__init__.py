"""The layouts that we read, one file each."""
