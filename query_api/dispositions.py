"""The `Content-Disposition` of a download: always an attachment, whatever its name holds.

RFC 6266 with RFC 8187: a plain name for old readers, the real one in UTF-8 beside it. No character
of a file name reaches the header as itself unless it is harmless there.
"""

import re
from typing import Final
from urllib.parse import quote

FALLBACK: Final = "result"

_HARMFUL: Final = re.compile(r"[^A-Za-z0-9 !#$&'()+,\-.;=@\[\]^_`{}~]")
# attr-char of RFC 8187 beyond letters and digits.
_SAFE_IN_EXTENDED: Final = "!#$&+-.^_`|~"


def attachment(name: str) -> str:
    """The header for a file of this name."""
    plain = _HARMFUL.sub("_", name).strip() or FALLBACK
    header = f'attachment; filename="{plain}"'
    if plain == name:
        return header
    extended = quote(name, safe=_SAFE_IN_EXTENDED, encoding="utf-8", errors="replace")
    return f"{header}; filename*=UTF-8''{extended}"
