"""Watch the resources of a process over time."""
