"""One file per contestant: `load()` imports the framework and returns its version and its `Build`."""
