"""Synthetic token tasks with scored positions, as a task of sweeps."""
