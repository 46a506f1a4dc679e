"""What a record is: annotations in, immutable and validated records out. No I/O, no torch, no Qdrant."""
