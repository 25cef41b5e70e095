"""What the three kinds of people do, in their words, on the real platform."""
