"""Turns a password, or a refresh token, into a pair of tokens.

An unknown name, a wrong password and a disabled account get one answer after the same work, so that
neither text nor time tells which names exist.
"""

from dataclasses import dataclass, field

import structlog

from command_api.accounts.errors import BadCredentials, RefreshTokenInvalid, UserNotFound
from command_api.accounts.names import username_key
from command_api.accounts.refresh_tokens import RefreshTokens
from command_api.accounts.users import User, Users
from infrastructure import metrics
from infrastructure.http.rate_limit import LoginLimiter
from infrastructure.passwords import Passwords
from infrastructure.tokens import TokenIssuer

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a login gives."""

    access_token: str = field(repr=False)
    expires_in: int
    refresh_token: str = field(repr=False)


class Logins:
    """Grants, refreshes and revokes."""

    def __init__(
        self,
        users: Users,
        refresh_tokens: RefreshTokens,
        passwords: Passwords,
        issuer: TokenIssuer,
        limiter: LoginLimiter,
    ) -> None:
        self._users = users
        self._refresh_tokens = refresh_tokens
        self._passwords = passwords
        self._issuer = issuer
        self._limiter = limiter

    async def grant(self, username: str, password: str, address: str) -> TokenPair:
        """Log in; raises BadCredentials, AccountsUnavailable, and 429 after too many tries."""
        await self._limiter.admit(username, address)
        user = await self._authenticated(username, password)
        if user is None:
            metrics.LOGINS.labels("refused").inc()
            raise BadCredentials
        refresh_token = await self._refresh_tokens.begin(user.id)
        metrics.LOGINS.labels("granted").inc()
        log.info("login_granted", user_id=str(user.id))
        return self._pair(user, refresh_token)

    async def refresh(self, token: str) -> TokenPair:
        """Trade a refresh token; raises RefreshTokenInvalid, AccountsUnavailable."""
        rotated = await self._refresh_tokens.rotate(token)
        if rotated is None:
            raise RefreshTokenInvalid
        try:
            user = await self._users.by_id(rotated.user_id)
        except UserNotFound:
            raise RefreshTokenInvalid from None
        if user.is_disabled:
            raise RefreshTokenInvalid
        return self._pair(user, rotated.token)

    async def revoke(self, token: str) -> None:
        """End the login that a refresh token belongs to; an unknown token is no error."""
        await self._refresh_tokens.revoke(token)

    async def _authenticated(self, username: str, password: str) -> User | None:
        name = username_key(username)
        user = await self._users.find(name or "")
        known_hash = user.password_hash if user is not None and not user.is_disabled else None
        matches, renewed = await self._passwords.verify_and_update(password, known_hash)
        if user is None or not matches:
            return None
        if renewed is not None:
            await self._users.renew_hash(user, renewed)
        return user

    def _pair(self, user: User, refresh_token: str) -> TokenPair:
        access = self._issuer.issue(user.principal())
        return TokenPair(access.token, access.expires_in, refresh_token)
