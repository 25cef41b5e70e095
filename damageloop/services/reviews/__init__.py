"""What humans said, whose word counts, and where it is doubted."""
