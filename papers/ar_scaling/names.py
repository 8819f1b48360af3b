"""Names of models in tables and figures, in their order."""

MODELS = {"attention": "Attention", "mamba": "Mamba", "mamba2": "Mamba-2", "deltanet": "DeltaNet", "hyena": "Hyena"}
MODELS |= {"based": "Based", "h3": "H3"}
RECURRENT = ("Mamba", "Mamba-2", "DeltaNet", "Hyena", "Based", "H3")
