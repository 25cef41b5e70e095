"""Detectors behind the port `Detector`: one module for each inference engine, and what they share around it."""
