"""The image-embedding jobs API of vitrivr's feature-extraction service: the same routes, bodies and words."""
