"""Pictures of what a training wrote into its HDF5 file; `nvis` is the command."""
