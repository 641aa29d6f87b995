"""What tenants and users may be called.

A user name is unique on the whole platform, because the password form of OAuth2 has no field for a
tenant; its case does not matter. A tenant's name is its id, also as a token of a NATS subject.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from events.contracts.values import PLATFORM_TENANT

USERNAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._@+-]*$"
USERNAME_CHARACTERS_MAX: Final = 128
TENANT_PATTERN: Final = r"^[a-z0-9](-?[a-z0-9])*$"
TENANT_CHARACTERS_MAX: Final = 63
DEFAULT_TENANT: Final = "default"

Username = Annotated[
    str,
    StringConstraints(pattern=USERNAME_PATTERN, max_length=USERNAME_CHARACTERS_MAX),
    AfterValidator(str.lower),
]


def _not_reserved(name: str) -> str:
    if name == PLATFORM_TENANT:
        raise ValueError("this name is reserved")
    return name


TenantName = Annotated[
    str,
    StringConstraints(pattern=TENANT_PATTERN, max_length=TENANT_CHARACTERS_MAX),
    AfterValidator(_not_reserved),
]

_USERNAME: Final = re.compile(USERNAME_PATTERN)


def username_key(typed: str) -> str | None:
    """The stored form of a name that somebody typed, or None if nobody can have it."""
    if len(typed) > USERNAME_CHARACTERS_MAX or not _USERNAME.fullmatch(typed):
        return None
    return typed.lower()
