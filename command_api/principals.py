"""Who asks: found out before anything of a request's body is read.

One dependency gives a route all that it needs. The framework walks the whole tree of dependencies
for every request, and each node costs as much as verifying a known token.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import OAuth2PasswordBearer

from command_api.access import require
from command_api.links import PREFIX
from command_api.resources import Resources
from infrastructure.principals import Principal, Role
from infrastructure.tokens import TokenRefused

TOKEN_URL: Final = f"{PREFIX}/auth/token"


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal within one request."""

    principal: Principal
    request_id: str
    """The id under which the request is logged; it becomes the correlation id of events."""
    resources: Resources


class Authenticated(OAuth2PasswordBearer):
    """Lets in whoever brings a valid token, of a role that may do what `needed` may.

    Raises TokenRefused, SessionEnded, SessionsUnavailable, Forbidden, and 429 for one request too
    many.
    """

    def __init__(self, needed: Role | None = None) -> None:
        super().__init__(TOKEN_URL, scheme_name="OAuth2PasswordBearer", auto_error=False)
        self._needed = needed

    async def __call__(self, request: Request) -> Caller:  # type: ignore[override]
        """The caller of this request."""
        resources: Resources = request.app.state.resources
        token = await super().__call__(request)
        if token is None:
            raise TokenRefused("missing")
        principal = resources.tokens.verify(token)
        await resources.sessions.check(principal)
        await resources.limiter.admit(str(principal.user_id))
        if self._needed is not None:
            require(principal, self._needed)
        return Caller(principal, request.scope["state"]["request_id"], resources)


get_current_user = Authenticated()

CurrentUser = Annotated[Caller, Depends(get_current_user)]
Client = Annotated[Caller, Depends(Authenticated(Role.CLIENT))]
"""Who may have jobs; refuses auditors, who change nothing."""
Operator = Annotated[Caller, Depends(Authenticated(Role.OPERATOR))]
"""Who steers the tenant's queues and limits."""
Administrator = Annotated[Caller, Depends(Authenticated(Role.ADMIN))]
"""Who manages users."""
