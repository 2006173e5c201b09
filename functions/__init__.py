"""One folder a function: `main.py` wires it, `core.py` decides."""
