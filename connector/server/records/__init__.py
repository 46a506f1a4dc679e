"""Search and records over HTTP: finding, reading, counting, ingesting, deleting, and what a page makes its filters of."""
