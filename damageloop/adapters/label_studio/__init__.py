"""Label Studio: where humans work. `regions` converts, `client` talks, `setup` connects, `process` starts it."""
