"""What a person can do. Every mutation takes an actor; every answer is a value."""
