"""Metrics of true and false positives and negatives."""
