"""The console in the browser: short screens over the services of ``core``."""
