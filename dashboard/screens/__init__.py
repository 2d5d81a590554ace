"""One file per screen; the entry script runs them."""
