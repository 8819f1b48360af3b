"""Sweeps of language models: settings, the task, and what one Snakemake job does."""
