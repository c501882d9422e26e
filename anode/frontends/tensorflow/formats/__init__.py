"""TensorFlow's file formats, read and written without TensorFlow: bytes in, plain values out."""
