"""A site's users with planted tastes: what they watch and rate, and how they take what is recommended to them."""
