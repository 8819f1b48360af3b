"""Text utilities, version 1."""


def join_lines(lines, sep="\n"):
    """Lines in one text, `sep` between them."""
    return sep.join(lines)


def slugify(text):
    """Lower-case words of a text, joined by hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def positions(text, part):
    """Places where `part` begins in `text`, counted from 1."""
    return [i + 1 for i in range(len(text)) if text.startswith(part, i)]
