"""Callbacks, one public class a file, usable with any `keras.Model.fit`."""
