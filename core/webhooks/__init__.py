"""Deliveries: signed, verified, recorded, explained."""
