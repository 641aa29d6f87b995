"""Finds the blob store that an address names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from infrastructure.blobs.base import BlobStore
from infrastructure.blobs.disk import DiskBlobStore
from infrastructure.settings import BlobSettings


class UnknownBlobLocation(ValueError):
    """BLOB_URL must be `file:///folder`."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def blob_store_at(settings: BlobSettings) -> BlobStore:
    """The store at BLOB_URL; raises UnknownBlobLocation."""
    address = urlsplit(settings.blob_url)
    if address.scheme != "file" or address.netloc or not address.path.startswith("/"):
        raise UnknownBlobLocation
    return DiskBlobStore(Path(unquote(address.path)))
