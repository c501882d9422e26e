"""tf.keras as TensorFlow 1.15 has it, in graph mode: layers, models, training, saving."""
