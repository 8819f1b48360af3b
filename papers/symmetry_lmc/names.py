"""Names of methods, in the order of the paper's Table 2."""

VANILLA, CIRCUITS, ACTIVATION = "vanilla averaging", "circuits, not aligned", "activation matching"
WM_PERM, WM = "weight matching, permutations", "weight matching"
LM_PERM, LM, LM_IDENTITY = "learned matching, permutations", "learned matching", "learned matching from identity"
TABLE_2 = (VANILLA, CIRCUITS, ACTIVATION, WM_PERM, WM, LM_PERM, LM)

FIXED, WIDE, NORMAL = "lam = 0.5", "lam in U[0, 1]", "lam in N(0.5, 0.1)"
SOFT, SOFT_WIDE = "soft permutations, U[0.4, 0.6]", "soft permutations, U[0, 1]"
ORTHOGONAL, PERMUTATION = "orthogonal", "permutation"
