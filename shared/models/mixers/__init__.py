"""Sequence mixers: modules (B, T, D) -> (B, T, D) with a parallel and a step form, chosen by name."""
