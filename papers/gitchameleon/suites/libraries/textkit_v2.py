"""Text utilities, version 2: `sep` is now `joiner`, `slugify` is `slug`, places count from 0, `initials` is new."""


def join_lines(lines, joiner="\n"):
    """Lines in one text, `joiner` between them."""
    return joiner.join(lines)


def slug(text):
    """Lower-case words of a text, joined by hyphens."""
    return "-".join("".join(c if c.isalnum() else " " for c in text.lower()).split())


def positions(text, part):
    """Places where `part` begins in `text`, counted from 0."""
    return [i for i in range(len(text)) if text.startswith(part, i)]


def initials(name):
    """First letters of the words of a name, upper case."""
    return "".join(word[0].upper() for word in name.split())
