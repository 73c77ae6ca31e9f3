"""The applications, one folder each, all of the same files."""
