"""Shapes, the built-in generated dataset."""
