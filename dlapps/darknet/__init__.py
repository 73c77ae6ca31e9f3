"""Networks of the Darknet family, built from their own files."""
