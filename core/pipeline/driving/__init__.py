"""The parts of the driver, a module per thing that is due; what they share is one ``Context``."""
