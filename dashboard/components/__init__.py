"""Pieces that screens are made of: values in, choices out."""
