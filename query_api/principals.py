"""Who asks, and what that one may see.

A client sees its own jobs; operators, administrators and auditors see those of their tenant. What
one may not see does not exist: the answer is the same 404.
"""

from typing import Annotated

from fastapi import Depends
from fastapi.security import OAuth2PasswordBearer

from infrastructure.http.problems import Problem
from infrastructure.principals import Principal, Role
from infrastructure.sessions import SessionEnded, SessionsUnavailable
from infrastructure.tokens import TokenRefused
from query_api.errors import Forbidden, Unavailable
from query_api.resources import WithResources

TOKEN_PATH = "/api/v1/auth/token"  # noqa: S105 - where tokens are had, on the command API

bearer = OAuth2PasswordBearer(tokenUrl=TOKEN_PATH, auto_error=False)


async def get_current_user(
    resources: WithResources, token: Annotated[str | None, Depends(bearer)]
) -> Principal:
    """The principal of the bearer token; refuses without a valid one, and one request too many."""
    if token is None:
        raise _unauthenticated("A bearer token is needed; POST /api/v1/auth/token gives one.")
    try:
        principal = resources.tokens.verify(token)
        await resources.sessions.check(principal)
    except (TokenRefused, SessionEnded) as refused:
        raise _unauthenticated(str(refused)) from None
    except SessionsUnavailable as error:
        raise Unavailable from error
    await resources.limiter.admit(str(principal.user_id))
    return principal


CurrentUser = Annotated[Principal, Depends(get_current_user)]


async def get_tenant_reader(principal: CurrentUser) -> Principal:
    """A principal who may see the whole tenant; refuses clients."""
    if not sees_tenant(principal):
        raise Forbidden
    return principal


TenantReader = Annotated[Principal, Depends(get_tenant_reader)]


def sees_tenant(principal: Principal) -> bool:
    """Whether the principal may see every job of its tenant."""
    return principal.role.allows(Role.OPERATOR) or principal.role.allows(Role.AUDITOR)


def owner_id(principal: Principal) -> str:
    """The principal as jobs name their owner."""
    return f"user:{principal.user_id}"


def may_see(principal: Principal, tenant: str, owner: str) -> bool:
    """Whether a job of this tenant and owner exists for the principal."""
    if tenant != principal.tenant:
        return False
    return sees_tenant(principal) or owner == owner_id(principal)


def _unauthenticated(message: str) -> Problem:
    return Problem(401, "UNAUTHENTICATED", message, headers={"WWW-Authenticate": "Bearer"})
