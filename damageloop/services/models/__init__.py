"""Training challengers, judging them, and making one of them champion."""
