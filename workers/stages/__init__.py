"""Entry points of the DVC pipeline; the only place of the product that imports ultralytics and torch."""
