"""Another model, other weights, another schema: what changes under a collection while searches go on."""
