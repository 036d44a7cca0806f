"""Reading with errors that name the place, and writing whole or not at all; no mm package."""
