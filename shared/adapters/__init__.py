"""The only places that talk to the world."""
