"""Measurements of the course itself; their results are committed as text."""
