"""Stochastic differential equations: one-step schemes, many paths at once, weak errors."""
