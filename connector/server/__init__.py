"""Door two: HTTP. The jobs API, search and records, and a page to look at; FastAPI comes with the extra `server`."""
