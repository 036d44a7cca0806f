"""A point data set read once, and all that is wrong with it."""
