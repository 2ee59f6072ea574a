"""Binarizes networks that were written without this package."""
