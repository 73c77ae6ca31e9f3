"""Layers, one public class a file, usable in any Keras model."""
