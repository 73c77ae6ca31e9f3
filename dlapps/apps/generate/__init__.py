"""Writes text character by character, and learns to from a text.

Read in this order: `config` (what can be set), `data` (files to batches), `model` (batches to
logits), `phases` (what is trained), `train`, `predict`, `evaluate`, `metrics` (how good), `render`
(what is shown), `command` (the command line).
"""
