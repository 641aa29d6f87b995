"""The commands of `magictoolbox`, run as a person runs them."""
