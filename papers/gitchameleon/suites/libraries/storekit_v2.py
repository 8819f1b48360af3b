"""A store of values under paths, version 2: `sep` is `separator`, `put` is `set`, a missing path raises."""


class Store:
    """Values by path; `separator` stands between the parts of a path."""

    def __init__(self, separator="/"):
        self.separator, self._values = separator, {}

    def set(self, parts, value):
        """Keep a value under the path with these parts."""
        self._values[self.separator.join(parts)] = value

    def get(self, path):
        """Value at a path; KeyError if there is none."""
        return self._values[path]

    def paths(self):
        """All paths, sorted."""
        return sorted(self._values)

    def paths_under(self, prefix):
        """Paths that begin with `prefix`, sorted; new in version 2."""
        return sorted(path for path in self._values if path.startswith(prefix))

    def load(self, values):
        """Take over a mapping of paths to values."""
        self._values.update(values)
        return self
