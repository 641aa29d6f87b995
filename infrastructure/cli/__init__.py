"""The command line: `magictoolbox`."""
