"""A small application for the judge's tests."""
