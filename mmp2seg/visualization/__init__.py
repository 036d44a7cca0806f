"""Pictures of points, maps, offset fields and instances."""
