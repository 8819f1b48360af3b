"""Library that every paper of this repository builds on; see docs/architecture.md for its rooms."""
