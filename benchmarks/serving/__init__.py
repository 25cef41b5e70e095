"""Serving speed: the platform's API and ML backend beside what people would otherwise run, on one model and machine."""
