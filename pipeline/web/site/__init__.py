"""The explorer's pages as files that any web server shows, or none: ``neurons site``; `make` is the door."""
