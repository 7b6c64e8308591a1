"""The version, in a module that nothing else is in: whoever names it imports no more than that."""

__version__ = "0.1.0"
