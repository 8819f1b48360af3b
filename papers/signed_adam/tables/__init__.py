"""Records -> tables. The same functions reduce our own runs and the released ones: tuned first, then compared."""
