"""Boxes: their geometry, what was found held against what is there, and files of both."""
