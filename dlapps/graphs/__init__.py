"""What an exported model does by itself with its input, as operations of TensorFlow."""
