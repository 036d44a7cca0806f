"""Draw points, maps, offset fields and instances."""
