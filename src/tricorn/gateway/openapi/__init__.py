"""The OpenAPI 3.1 document, made from the contracts alone."""

from tricorn.gateway.openapi.document import openapi_document

__all__ = ["openapi_document"]
