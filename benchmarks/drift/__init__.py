"""How soon drift is found, how often falsely, and what the response brings back."""
