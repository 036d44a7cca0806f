"""Experiments: many runs in, one table out."""
