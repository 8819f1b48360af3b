"""Weight space: symmetries as data, alignment of networks by them, and what lies between aligned networks."""
