"""One file per contestant: `load()` imports the framework, returns its version and its `Build`."""
