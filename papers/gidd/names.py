"""Names that settings and methods share; imports nothing."""

from typing import Literal

Weighting = Literal["none", "clamp", "dynamic", "dynamic_exact", "dynamic_v110"]
Objective = Literal["gidd", "mdlm", "ar"]
