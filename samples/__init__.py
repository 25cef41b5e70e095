"""Generated photos, the starter model's training and the demo: may use the product, never the reverse."""
