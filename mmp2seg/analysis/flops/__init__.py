"""Cost of stage 1 by part: operations, counted and by formula, and time."""
