"""The fixtures of the upload tests; the rest brings its own."""

from tests.integration.infrastructure.http.upload_house import house, media_types, upload_client

__all__ = ["house", "media_types", "upload_client"]
