"""Config, records, tables, figures, claims, and the comparison with a committed reference. Imports no torch."""
