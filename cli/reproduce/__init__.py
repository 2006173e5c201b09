"""A model made again from what its manifest says, and compared byte by byte."""
