"""Read files with errors that name the place, and write them atomically, without any mm package."""
