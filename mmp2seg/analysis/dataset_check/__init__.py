"""Read a point data set once and report all problems."""
