"""The command line, in parts; `core.__main__` puts them together."""
