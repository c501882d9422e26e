"""TensorFlow 1.15's Python interface over anode graphs, for scripts that `anode run` runs."""
