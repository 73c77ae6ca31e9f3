"""Finds things in pictures and videos, and learns new ones from pictures with boxes.

Read in this order: `config` (what can be set), `data` (files to batches), `model` (batches to
boxes), `train`, `phases`, `predict`, `evaluate`, `metrics` (how good), `render` (what is shown),
`command` (the command line).
"""
