"""Ops and their values in files."""
