"""Readers and pipelines that more than one app uses, and the sample datasets."""
