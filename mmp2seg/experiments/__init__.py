"""Experiments: many runs, one table."""
