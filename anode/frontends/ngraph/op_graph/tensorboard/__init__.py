"""Values and graphs for TensorBoard."""
