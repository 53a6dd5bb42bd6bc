"""The supervisor of `tricorn up`: it owns the public socket and the database server, and keeps processes running."""
