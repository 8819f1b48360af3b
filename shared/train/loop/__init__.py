"""The training loop: one run on one device or several, resumable to the same bits."""
