"""A run on disk: what names it, what it is doing."""
