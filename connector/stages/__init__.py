"""The stages that a record passes through, a file each; `ingestion.py` puts them in a line."""
