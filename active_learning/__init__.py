"""Which images a human should see next: arrays in, indices out. Knows no images, databases or models."""
