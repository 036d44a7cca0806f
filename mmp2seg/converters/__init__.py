"""Converters of annotations, semantic maps and checkpoints; import the modules themselves."""
