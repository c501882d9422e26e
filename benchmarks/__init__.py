"""Measurements of anode beside other frameworks; see README.md. Imports nothing, on purpose."""
