"""Networks that do not use this package, converted by `binarize`."""
