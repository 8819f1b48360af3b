"""Hyperparameter sweeps: a description in YAML, its runs, the ensembles they are packed into, and what they cost."""
