"""One module a claim; each measures Marquee and its peer in the same run and prints the ratio."""
