"""What TensorFlow's ops mean: one entry for each op type, a few lines over anode's ops."""
