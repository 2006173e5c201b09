"""What the functions share: events, records, settings, models, and the ports to the world."""
