"""The ops: every public name here builds nodes of a graph."""
