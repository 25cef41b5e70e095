"""How long a snapshot of a hundred changed annotations takes, by the number of labeled images."""
