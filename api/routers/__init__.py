"""Routes by what they are about, one module each."""
