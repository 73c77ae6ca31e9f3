"""Answers requests over HTTP, in the way of TensorFlow Serving."""
