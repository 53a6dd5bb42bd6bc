"""What staff change on the pages is news to the gateway, which may have kept answers that say otherwise."""

from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

_READING = ("GET", "HEAD", "OPTIONS")


class Announce(MiddlewareMixin):
    """Marks the answer to a form that was taken: the pages answer it with a redirection, and what they refuse with a page."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        taken = request.method not in _READING and 300 <= response.status_code < 400  # noqa: PLR2004
        if taken and request.user.is_staff:
            response["Tricorn-Changed"] = "1"
        return response
