"""A static site over everything that was built, and the page of a diff: jinja2 templates, no server, no request."""
