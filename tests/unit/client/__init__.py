"""The client of the pricing API."""
