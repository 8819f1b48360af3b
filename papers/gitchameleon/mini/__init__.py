"""Tasks on small pure-Python packages of PyPI whose interface really changed, by theme."""
