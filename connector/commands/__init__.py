"""The commands of door one: each in the file of its name, and what they share: their options, and what was typed as values."""
