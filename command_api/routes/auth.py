"""`/auth`: trade a password or a refresh token for tokens, or end a login."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from fastapi.security import OAuth2PasswordRequestForm

from command_api.accounts.logins import TokenPair
from command_api.bodies import RefreshBody, TokenBody
from command_api.requests import content_type_of, json_object, validated
from command_api.resources import WithResources

router = APIRouter(prefix="/auth", tags=["auth"])

FORM: Final = "application/x-www-form-urlencoded"
UNKNOWN_ADDRESS: Final = "unknown"
REFRESH_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": RefreshBody.model_json_schema()} for kind in (FORM, "application/json")
        },
    }
}


async def get_refresh_token(request: Request) -> str:
    """The refresh token out of a form, as OAuth 2 has it, or out of JSON."""
    if content_type_of(request) == FORM:
        async with request.form() as form:
            return validated(RefreshBody, dict(form)).refresh_token
    return validated(RefreshBody, json_object(await request.body(), "body")).refresh_token


RefreshToken = Annotated[str, Depends(get_refresh_token)]


@router.post("/token")
async def log_in(
    request: Request,
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    resources: WithResources,
) -> TokenBody:
    """Log in with a user name and a password."""
    address = request.client.host if request.client else UNKNOWN_ADDRESS
    return _body(await resources.logins.grant(form.username, form.password, address))


@router.post("/refresh", openapi_extra=REFRESH_BODY)
async def refresh(token: RefreshToken, resources: WithResources) -> TokenBody:
    """Trade a refresh token for a new pair; each is good for one use."""
    return _body(await resources.logins.refresh(token))


@router.post("/revoke", openapi_extra=REFRESH_BODY)
async def revoke(token: RefreshToken, resources: WithResources) -> dict[str, str]:
    """End the login that a refresh token belongs to; an unknown token is no error (RFC 7009)."""
    await resources.logins.revoke(token)
    return {}


def _body(pair: TokenPair) -> TokenBody:
    return TokenBody(
        access_token=pair.access_token,
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
    )
