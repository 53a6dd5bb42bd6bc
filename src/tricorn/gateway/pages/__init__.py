"""Pages that every gateway has: health, problems, the OpenAPI document and its reader."""

from tricorn.gateway.pages.built_in import built_in_pages

__all__ = ["built_in_pages"]
