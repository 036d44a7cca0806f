"""A report of a training and its pseudo labels as one HTML page."""
