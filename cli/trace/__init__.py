"""How an answer came to be, for people to read and to look at."""
