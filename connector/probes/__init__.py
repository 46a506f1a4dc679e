"""Golden probes: pictures and sentences whose vectors tell whether the model still is what it was."""
