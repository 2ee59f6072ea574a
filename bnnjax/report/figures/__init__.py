"""Figures of reports, drawn with matplotlib (extra `plots`)."""
