"""`/users`: who may come in, managed by the tenant's administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from command_api.accounts.names import USERNAME_CHARACTERS_MAX
from command_api.accounts.users import USERS_IN_PAGE_MAX, User
from command_api.bodies import NewUserBody, UserBody, UserChangeBody, UsersBody
from command_api.commands import ChangeUser, CreateUser
from command_api.principals import Administrator, CurrentUser
from command_api.requests import RequestId
from command_api.resources import WithResources

router = APIRouter(prefix="/users", tags=["users"])

PAGE_DEFAULT = 50


@router.post("", status_code=201)
async def create_user(
    body: NewUserBody,
    response: Response,
    principal: Administrator,
    resources: WithResources,
    request_id: RequestId,
) -> UserBody:
    """Let somebody in."""
    command = CreateUser(
        principal=principal,
        request_id=request_id,
        username=body.username,
        password=body.password,
        role=body.role,
    )
    user = await resources.handlers.manage_users.create(command)
    response.headers["Location"] = resources.links.user(user.id)
    return _body(user)


@router.get("")
async def list_users(
    principal: Administrator,
    resources: WithResources,
    limit: Annotated[int, Query(ge=1, le=USERS_IN_PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=USERNAME_CHARACTERS_MAX)] = None,
) -> UsersBody:
    """The users of the tenant, by name."""
    users = await resources.users.page(principal.tenant, cursor, limit + 1)
    page = users[:limit]
    more = len(users) > limit
    return UsersBody(
        items=[_body(user) for user in page], next_cursor=page[-1].username if more else None
    )


# Before the route with a parameter, which would take `me` for an id.
@router.get("/me")
async def get_own_user(principal: CurrentUser, resources: WithResources) -> UserBody:
    """The user whose token this is."""
    return _body(await resources.users.get(principal.tenant, principal.user_id))


@router.get("/{user_id}")
async def get_user(user_id: UUID, principal: Administrator, resources: WithResources) -> UserBody:
    """One user of the tenant."""
    return _body(await resources.users.get(principal.tenant, user_id))


@router.patch("/{user_id}")
async def change_user(
    user_id: UUID,
    body: UserChangeBody,
    principal: Administrator,
    resources: WithResources,
    request_id: RequestId,
) -> UserBody:
    """Give another role or password, or shut or open the account; all of its sessions end."""
    command = ChangeUser(
        principal=principal,
        request_id=request_id,
        user_id=user_id,
        role=body.role,
        password=body.password,
        is_disabled=body.disabled,
    )
    return _body(await resources.handlers.manage_users.change(command))


def _body(user: User) -> UserBody:
    return UserBody(
        user_id=user.id,
        tenant=user.tenant,
        username=user.username,
        role=user.role,
        disabled=user.is_disabled,
        created_at=user.created_at,
        updated_at=user.updated_at,
    )
