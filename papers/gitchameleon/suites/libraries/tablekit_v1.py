"""Tables as lists of dictionaries, version 1."""


def sort_rows(rows, by):
    """Rows in the order of column `by`."""
    return sorted(rows, key=lambda row: row[by])


def transpose(rows):
    """Column name -> list of its values."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def totals(rows):
    """Column name -> sum of its values, as a dictionary."""
    return {name: sum(values) for name, values in transpose(rows).items()}
