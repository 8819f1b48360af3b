"""Token tasks with scored positions: every example is a function of (settings, seed, index)."""
