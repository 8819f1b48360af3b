"""Low-rank adapters by name on the linear maps of any model."""
