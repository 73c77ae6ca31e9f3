"""Says in a sentence what a picture shows, and learns to from pictures with captions.

Read in this order: `config` (what can be set), `data` (files to batches), `model` (pictures to
words), `phases` (what is trained), `train`, `predict`, `evaluate`, `metrics` (how good), `render`
(what is shown), `command` (the command line).
"""
