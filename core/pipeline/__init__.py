"""Durable workflows: every accepted document is driven to its end, whatever process dies."""
