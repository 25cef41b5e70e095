"""Answers to those who ask for predictions."""
