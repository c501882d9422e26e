"""Arrays, executables and checkpoints: what runs a compiled graph."""
