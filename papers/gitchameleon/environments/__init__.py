"""Pinned environments: interpreters, installers and the store that keeps what was built."""
