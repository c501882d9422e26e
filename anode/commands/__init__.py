"""The commands of `anode`: what the command line does, after its options are read."""
