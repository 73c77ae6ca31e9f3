"""Readers of other frameworks' weight files, and the built-in models."""
