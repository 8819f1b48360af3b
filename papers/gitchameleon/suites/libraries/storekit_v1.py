"""A store of values under paths, version 1."""


class Store:
    """Values by path; `sep` stands between the parts of a path."""

    def __init__(self, sep="/"):
        self.sep, self._values = sep, {}

    def put(self, parts, value):
        """Keep a value under the path with these parts."""
        self._values[self.sep.join(parts)] = value

    def get(self, path):
        """Value at a path, None if there is none."""
        return self._values.get(path)

    def paths(self):
        """All paths, sorted."""
        return sorted(self._values)

    def load(self, values):
        """Take over a mapping of paths to values."""
        self._values.update(values)
        return self
