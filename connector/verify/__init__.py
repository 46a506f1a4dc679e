"""The audit: what the source has against what the collection holds, and mending the difference."""
