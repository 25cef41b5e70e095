"""What damages mean for the price of a car. Pure: rules and what was seen in, a price range with its reasons out."""
