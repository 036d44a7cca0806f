"""What the command-line tools share; empty, as `select_device` must run before mmengine loads."""
