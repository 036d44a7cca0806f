"""Cost of stage 1: operations by part, as run and by formula, and time."""
