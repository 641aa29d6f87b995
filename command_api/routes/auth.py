"""`/auth`: trade a password or a refresh token for tokens, or end a login."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from command_api.accounts.logins import Logins, TokenPair
from command_api.bodies import RefreshBody, TokenBody
from command_api.requests import FORM, JSON, content_type_of, json_object, validated
from command_api.resources import Resources

router = APIRouter(prefix="/auth", tags=["auth"])

UNKNOWN_ADDRESS: Final = "unknown"
REFRESH_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": RefreshBody.model_json_schema()} for kind in (FORM, JSON)},
    }
}


async def get_refresh_token(request: Request) -> str:
    """The refresh token out of a form, as OAuth 2 has it, or out of JSON."""
    if content_type_of(request) == FORM:
        async with request.form() as form:
            return validated(RefreshBody, dict(form)).refresh_token
    return validated(RefreshBody, json_object(await request.body(), "body")).refresh_token


RefreshToken = Annotated[str, Depends(get_refresh_token)]


async def get_logins(request: Request) -> Logins:
    """What turns passwords into tokens."""
    resources: Resources = request.app.state.resources
    return resources.logins


WithLogins = Annotated[Logins, Depends(get_logins)]


@router.post("/token")
async def log_in(
    request: Request,
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    logins: WithLogins,
) -> TokenBody:
    """Log in with a user name and a password."""
    address = request.client.host if request.client else UNKNOWN_ADDRESS
    return _body(await logins.grant(form.username, form.password, address))


@router.post("/refresh", openapi_extra=REFRESH_BODY)
async def refresh(token: RefreshToken, logins: WithLogins) -> TokenBody:
    """Trade a refresh token for a new pair; each is good for one use."""
    return _body(await logins.refresh(token))


@router.post("/revoke", openapi_extra=REFRESH_BODY)
async def revoke(token: RefreshToken, logins: WithLogins) -> dict[str, str]:
    """End the login that a refresh token belongs to; an unknown token is no error (RFC 7009)."""
    await logins.revoke(token)
    return {}


def _body(pair: TokenPair) -> TokenBody:
    return TokenBody(
        access_token=pair.access_token,
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
    )
