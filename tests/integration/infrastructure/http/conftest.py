"""The fixtures of the upload tests; the rest brings its own."""

from tests.integration.infrastructure.http.upload_house import (
    house,
    house_of_short_pauses,
    house_of_short_uploads,
    media_types,
    upload_client,
)

__all__ = [
    "house",
    "house_of_short_pauses",
    "house_of_short_uploads",
    "media_types",
    "upload_client",
]
