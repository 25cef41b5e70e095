"""Selection beside other people's code: coverage and time of the same choice on the same embeddings."""
