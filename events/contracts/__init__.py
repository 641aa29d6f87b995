"""Facts, their permanent names, and the subjects they travel on: pure, importable by everybody."""
