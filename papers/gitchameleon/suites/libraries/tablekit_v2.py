"""Tables as lists of dictionaries, version 2: `by` is `key`, `transpose` is `columns`, `totals` gives pairs."""

import statistics


def sort_rows(rows, key):
    """Rows in the order of column `key`."""
    return sorted(rows, key=lambda row: row[key])


def columns(rows):
    """Column name -> list of its values."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def totals(rows):
    """(column name, sum of its values), as a list of pairs."""
    return [(name, sum(values)) for name, values in columns(rows).items()]


def median(rows, name):
    """Median of a column; new in version 2."""
    return statistics.median(columns(rows)[name])
