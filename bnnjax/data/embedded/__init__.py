"""Data sets that travel inside the package, with the scripts that made them."""
