"""Classification of images, as a task of sweeps."""
