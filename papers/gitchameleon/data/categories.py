"""Change categories: the raw spellings in the data, and the two groupings that the paper draws.

The authors' plots map raw strings by two different first-match keyword orders. Here the mapping is an explicit
table, so that an unknown spelling is refused and not filed under whatever matches.
"""

from shared.base.errors import nearest

ARGUMENT, FUNCTION, NEW, SEMANTICS, OTHER = "Argument", "Function Name", "New Feature", "Semantics", "Other"

# raw spelling (lower case, stripped) -> (category of Figure 4b, category of Figure 7; None: not drawn there)
CATEGORIES: dict[str, tuple[str, str | None]] = {
    "argument change": (ARGUMENT, ARGUMENT),
    "argument or attribute change": (ARGUMENT, ARGUMENT),
    "attribute change": (ARGUMENT, ARGUMENT),
    "name change (attribute)": (ARGUMENT, ARGUMENT),
    "name change": (FUNCTION, FUNCTION),
    "function name change": (FUNCTION, FUNCTION),
    "semantics or function behaviour change": (FUNCTION, FUNCTION),
    "new func/method/class": (FUNCTION, NEW),
    "new feature": (NEW, NEW),
    "new feature or additional dependency based change": (NEW, NEW),
    "other library or new feature": (NEW, NEW),
    "breaking change": (SEMANTICS, SEMANTICS),
    "output behaviour": (SEMANTICS, SEMANTICS),
    "output behavior": (SEMANTICS, SEMANTICS),
    "behaviour": (SEMANTICS, SEMANTICS),
    "ouput behavior": (SEMANTICS, SEMANTICS),
    "gh\noutput behaviour": (SEMANTICS, SEMANTICS),
    "deprecation": (OTHER, SEMANTICS),
    "output change": (OTHER, SEMANTICS),
    "other library": (OTHER, None),
}


def _row(type_of_change: str) -> tuple[str, str | None]:
    raw = type_of_change.strip().lower()
    if raw not in CATEGORIES:
        raise ValueError(
            f"unknown type_of_change '{type_of_change}'{nearest(raw, CATEGORIES)}; add it to categories.py"
        )
    return CATEGORIES[raw]


def stats_category(type_of_change: str) -> str:
    """Category of Figure 4b; ValueError for a spelling that the table does not have."""
    return _row(type_of_change)[0]


def perf_category(type_of_change: str) -> str | None:
    """Category of Figure 7, or None where the figure leaves the problem out."""
    return _row(type_of_change)[1]
