"""Names of models in tables and figures, in their order; the grid that the paper compares with."""

MODELS = {"attention": "Attention", "mamba": "Mamba", "mamba2": "Mamba-2", "deltanet": "DeltaNet", "hyena": "Hyena"}
MODELS |= {"based": "Based", "h3": "H3"}
COARSE = (1.0e-4, 4.64e-4, 2.15e-3, 1.0e-2)  # learning rates of earlier work (Arora et al. 2023, arXiv 2312.04927)
