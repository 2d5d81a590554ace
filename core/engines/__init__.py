"""Engines turn documents into markdown; all speak the one protocol in ``protocol``."""
