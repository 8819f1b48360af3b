"""Our own suites: tasks as YAML, the libraries of the built-in one, and systems whose answers are known."""
