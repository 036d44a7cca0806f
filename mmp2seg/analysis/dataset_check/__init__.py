"""Read a point dataset once and report all problems."""
