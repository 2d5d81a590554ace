"""How LlamaParse is reached: the service with its key, the look-alike of MOCK, and who may sign for either."""
