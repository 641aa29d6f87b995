"""Who asks: found out before anything of a request's body is read."""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from command_api.access import require
from command_api.links import PREFIX
from command_api.resources import WithResources
from infrastructure.principals import Principal, Role
from infrastructure.tokens import TokenRefused

bearer = OAuth2PasswordBearer(tokenUrl=f"{PREFIX}/auth/token", auto_error=False)


async def get_current_user(
    resources: WithResources, token: Annotated[str | None, Depends(bearer)]
) -> Principal:
    """The principal of the bearer token.

    Raises TokenRefused, SessionEnded, SessionsUnavailable, and 429 for one request too many.
    """
    if token is None:
        raise TokenRefused("missing")
    principal = resources.tokens.verify(token)
    await resources.sessions.check(principal)
    await resources.limiter.admit(str(principal.user_id))
    return principal


CurrentUser = Annotated[Principal, Depends(get_current_user)]


async def get_client(principal: CurrentUser) -> Principal:
    """A principal who may have jobs; refuses auditors, who change nothing."""
    require(principal, Role.CLIENT)
    return principal


Client = Annotated[Principal, Depends(get_client)]


async def get_administrator(principal: CurrentUser) -> Principal:
    """A principal who manages users; refuses everybody else."""
    require(principal, Role.ADMIN)
    return principal


Administrator = Annotated[Principal, Depends(get_administrator)]
