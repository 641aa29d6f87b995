"""Issues access tokens and verifies them: JWTs with one algorithm and no choice left to the caller.

A token is accepted only if its header is exactly the one we write, it is signed with our key, it
carries every claim we issue, and it is within its time. All refusals look the same outside; the
reason is counted. Whether the session behind a token still stands (`session_version`) is for
whoever has the accounts to ask.
"""

import base64
import binascii
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import orjson

from infrastructure import metrics
from infrastructure.ids import uuid7
from infrastructure.principals import Principal, Role
from infrastructure.settings import TokenSettings

ISSUER = "magictoolbox"
AUDIENCE = "magictoolbox-api"
ACCESS = "access"
LEEWAY_SECONDS = 5
TOKEN_CHARACTERS_MAX = 4_096
CACHE_ENTRIES_MAX = 4_096
CACHE_SECONDS_MAX = 60.0

_REQUIRED = ["sub", "tenant", "role", "sv", "jti", "iat", "exp", "iss", "aud", "typ"]


class TokenRefused(Exception):
    """The access token is missing, malformed, expired or not ours."""

    def __init__(self, reason: str) -> None:
        super().__init__(self.__doc__)
        self.reason = reason


@dataclass(frozen=True)
class AccessToken:
    """A signed token and how long it holds."""

    token: str
    expires_in: int


class TokenIssuer:
    """Signs access tokens."""

    def __init__(self, settings: TokenSettings, now: Callable[[], float] = time.time) -> None:
        self._key = settings.secret_key.get_secret_value()
        self._algorithm = settings.jwt_algorithm
        self._seconds = settings.access_token_expire_minutes * 60
        self._now = now

    def issue(self, principal: Principal) -> AccessToken:
        """A token that says who this is, until it expires."""
        issued = int(self._now())
        claims: dict[str, Any] = {
            "sub": str(principal.user_id),
            "tenant": principal.tenant,
            "role": principal.role.value,
            "sv": principal.session_version,
            "jti": str(uuid7()),
            "iat": issued,
            "exp": issued + self._seconds,
            "iss": ISSUER,
            "aud": AUDIENCE,
            "typ": ACCESS,
        }
        if principal.username is not None:
            claims["username"] = principal.username
        return AccessToken(jwt.encode(claims, self._key, self._algorithm), self._seconds)


class TokenVerifier:
    """Verifies access tokens; remembers the good ones for a short time."""

    def __init__(self, settings: TokenSettings, now: Callable[[], float] = time.time) -> None:
        self._key = settings.secret_key.get_secret_value()
        self._algorithm = settings.jwt_algorithm
        self._now = now
        self._header = {"alg": settings.jwt_algorithm, "typ": "JWT"}
        self._verifier = jwt.PyJWT({"enforce_minimum_key_length": True})
        self._known: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """Who the token speaks for; raises TokenRefused."""
        known = self._known.get(token)
        if known is not None:
            if self._now() < known[1]:
                self._known.move_to_end(token)
                return known[0]
            del self._known[token]
        try:
            claims = self._claims(token)
            principal = _principal(claims)
        except TokenRefused as refused:
            metrics.TOKENS_REFUSED.labels(refused.reason).inc()
            raise
        self._remember(token, principal, claims["exp"])
        return principal

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise TokenRefused("too_long")
        if _header(token) != self._header:
            # Also without signature, or with kid, jku, x5u, jwk, crit: nothing we ever write.
            raise TokenRefused("header")
        try:
            claims = self._verifier.decode(
                token,
                self._key,
                algorithms=[self._algorithm],
                issuer=ISSUER,
                audience=AUDIENCE,
                leeway=LEEWAY_SECONDS,
                # The time is checked below, on the clock that was handed in.
                options={
                    "require": _REQUIRED,
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                    "strict_aud": True,
                },
            )
        except jwt.PyJWTError as error:
            raise TokenRefused(_REASONS.get(type(error), "malformed")) from None
        self._check_times(claims)
        return claims

    def _check_times(self, claims: dict[str, Any]) -> None:
        now = self._now()
        for name in ("exp", "iat", "nbf"):
            if type(claims.get(name, 0)) is not int:
                raise TokenRefused("claims")
        if claims["exp"] <= now:
            raise TokenRefused("expired")
        if max(claims["iat"], claims.get("nbf", 0)) > now + LEEWAY_SECONDS:
            raise TokenRefused("not_yet")

    def _remember(self, token: str, principal: Principal, expires: int) -> None:
        self._known[token] = (principal, min(expires, self._now() + CACHE_SECONDS_MAX))
        if len(self._known) > CACHE_ENTRIES_MAX:
            self._known.popitem(last=False)


_REASONS: dict[type[jwt.PyJWTError], str] = {
    jwt.InvalidSignatureError: "signature",
    jwt.InvalidIssuerError: "issuer",
    jwt.InvalidAudienceError: "audience",
    jwt.MissingRequiredClaimError: "claims",
}


def _header(token: str) -> Any:
    first, _, _ = token.partition(".")
    try:
        decoded = base64.urlsafe_b64decode(first + "=" * (-len(first) % 4))
        return orjson.loads(decoded)
    except (binascii.Error, ValueError):
        raise TokenRefused("malformed") from None


def _principal(claims: dict[str, Any]) -> Principal:
    username = claims.get("username")
    if claims["typ"] != ACCESS:
        raise TokenRefused("type")
    if type(claims["sv"]) is not int or not isinstance(claims["tenant"], str):
        raise TokenRefused("claims")
    if username is not None and not isinstance(username, str):
        raise TokenRefused("claims")
    try:
        user_id, role = UUID(claims["sub"]), Role(claims["role"])
    except (ValueError, TypeError, AttributeError):
        raise TokenRefused("claims") from None
    return Principal(user_id, claims["tenant"], role, claims["sv"], username)
