"""Tells what a picture shows, and learns new classes from a folder of pictures.

Read in this order: `config` (what can be set), `data` (files to batches), `model` (batches to
logits), `train`, `predict`, `evaluate`, `metrics` (how good), `render` (what is shown), `command`
(the command line).
"""
