"""TensorFlow's public functions and classes, with its signatures."""
