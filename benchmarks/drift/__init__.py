"""How soon drift is found, and how often falsely."""
