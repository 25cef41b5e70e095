"""Which images are put before annotators, in which order, and with which pre-annotations."""
