"""Writes models in formats that other programs run, each checked against the trained model."""
