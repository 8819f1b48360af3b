"""Tests run on one thread: many small tensors gain nothing from two, and stall on a busy machine."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch starts its pool
