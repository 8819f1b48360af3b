"""Models as points: paths between them, their averages, and the symmetries that leave their functions alone."""
