"""The rules of the house: values and pure functions, no I/O, no clock, no log."""
