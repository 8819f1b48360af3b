"""Running untrusted answers under their tests, in a box, with a cache of verdicts."""
