"""The same shop as others would write it, to be measured beside Agora: Flask with SQLAlchemy, and FastAPI with asyncpg."""
