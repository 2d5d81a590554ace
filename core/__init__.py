"""Parsedeck's core: everything the console does, without the console."""
