"""A rehearsal of releases on one machine: good models, bad ones, attacks and accidents, before users with tastes."""
