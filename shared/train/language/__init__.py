"""Language models on a text corpus, as a task of sweeps."""
