"""Sealing: text in the log that can be made unreadable for ever without changing the log.

Each job (or upload) has a random key of its own, kept wrapped in the schema `keys`. Sealed text
is AES-256-GCM under that key, bound to the subject and the field, so that it cannot be moved
elsewhere. Deleting the key is the erasure; hashes over the log stay valid, as they cover the
ciphertext. Blind tokens let equal labels be found without storing them.
"""

import base64
import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from events.contracts.values import SealedText
from infrastructure.settings import SealingSettings

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
PREFIX: Final = "s1."
"""Marks sealed text, and the version of its form: base64url of nonce, ciphertext and tag."""
TOKEN_BYTES: Final = 12


_VERSION_BITS: Final = 0xF << 76
_OWN_VERSION: Final = 0x8 << 76


def secrets_id(owner_id: UUID) -> UUID:
    """The subject under whose key the secret options of a job, a workflow or a schedule are sealed;
    it ends with the one that it is of.
    """
    return UUID(int=owner_id.int & ~_VERSION_BITS | _OWN_VERSION)


class SealBroken(Exception):
    """The text was not sealed with this key, or was changed."""


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The key of one subject as the schema `keys` holds it."""

    subject_id: UUID
    tenant: str
    owner: str
    """Whose personal data it seals: erasing a person deletes all keys of this owner."""
    wrapped: bytes
    wrapping_version: int


class Seal:
    """The open key of one subject: seals and opens its text."""

    __slots__ = ("_cipher", "_subject")

    def __init__(self, subject_id: UUID, key: bytes) -> None:
        self._subject = subject_id.bytes
        self._cipher = AESGCM(key)

    def seal(self, field: str, text: str) -> SealedText:
        """Make text unreadable without the key; `field` must be given again to open it."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, text.encode(), self._subject + field.encode())
        return SealedText(PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode())

    def open(self, field: str, sealed: str) -> str:
        """Read sealed text; raises SealBroken."""
        if not sealed.startswith(PREFIX):
            raise SealBroken(SealBroken.__doc__)
        try:
            raw = base64.urlsafe_b64decode(sealed[len(PREFIX) :])
            context = self._subject + field.encode()
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context).decode()
        except (InvalidTag, ValueError) as error:
            raise SealBroken(SealBroken.__doc__) from error


class Sealer:
    """Holds the wrapping key: makes keys for new subjects and opens those of old ones."""

    def __init__(self, settings: SealingSettings) -> None:
        secret = settings.sealing_key.get_secret_value().encode()
        self._wrapping = AESGCM(_derive(secret, b"magictoolbox wrapping"))
        self._tokens = _derive(secret, b"magictoolbox label tokens")
        self._version = settings.sealing_key_version

    def new_key(self, subject_id: UUID, tenant: str, owner: str) -> tuple[Seal, WrappedKey]:
        """Make a random key: the open form to use now, the wrapped one to append."""
        key = AESGCM.generate_key(KEY_BYTES * 8)
        nonce = os.urandom(NONCE_BYTES)
        wrapped = nonce + self._wrapping.encrypt(nonce, key, subject_id.bytes)
        return Seal(subject_id, key), WrappedKey(subject_id, tenant, owner, wrapped, self._version)

    def open_key(self, subject_id: UUID, wrapped: bytes) -> Seal:
        """Unwrap the key of a subject; raises SealBroken."""
        try:
            key = self._wrapping.decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], subject_id.bytes
            )
        except InvalidTag as error:
            raise SealBroken(SealBroken.__doc__) from error
        return Seal(subject_id, key)

    def label_token(self, tenant: str, name: str, value: str) -> str:
        """The blind token of a label: equal within a tenant, meaningless without the key."""
        text = f"{tenant}\0{name}\0{value}".encode()
        return blake2b(text, key=self._tokens, digest_size=TOKEN_BYTES).hexdigest()


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose).derive(secret)
