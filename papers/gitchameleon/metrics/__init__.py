"""Every number that is made from answers and verdicts, and from the published tables."""
