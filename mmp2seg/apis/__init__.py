"""Code shared by the command-line tools; no imports: `select_device` runs before mmengine loads."""
