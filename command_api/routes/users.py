"""`/users`: who may come in, managed by the tenant's administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from command_api.accounts.names import USERNAME_CHARACTERS_MAX
from command_api.accounts.users import USERS_IN_PAGE_MAX, User
from command_api.bodies import NewUserBody, UserBody, UserChangeBody, UsersBody
from command_api.commands import ChangeUser, CreateUser
from command_api.principals import Administrator, CurrentUser

router = APIRouter(prefix="/users", tags=["users"])

PAGE_DEFAULT = 50


@router.post("", status_code=201)
async def create_user(
    body: NewUserBody,
    response: Response,
    caller: Administrator,
) -> UserBody:
    """Let somebody in."""
    command = CreateUser(
        principal=caller.principal,
        request_id=caller.request_id,
        username=body.username,
        password=body.password,
        role=body.role,
    )
    user = await caller.resources.handlers.manage_users.create(command)
    response.headers["Location"] = caller.resources.links.user(user.id)
    return _body(user)


@router.get("")
async def list_users(
    caller: Administrator,
    limit: Annotated[int, Query(ge=1, le=USERS_IN_PAGE_MAX)] = PAGE_DEFAULT,
    cursor: Annotated[str | None, Query(max_length=USERNAME_CHARACTERS_MAX)] = None,
) -> UsersBody:
    """The users of the tenant, by name."""
    users = await caller.resources.users.page(caller.principal.tenant, cursor, limit + 1)
    page = users[:limit]
    more = len(users) > limit
    return UsersBody(
        items=[_body(user) for user in page], next_cursor=page[-1].username if more else None
    )


# Before the route with a parameter, which would take `me` for an id.
@router.get("/me")
async def get_own_user(caller: CurrentUser) -> UserBody:
    """The user whose token this is."""
    return _body(
        await caller.resources.users.get(caller.principal.tenant, caller.principal.user_id)
    )


@router.get("/{user_id}")
async def get_user(user_id: UUID, caller: Administrator) -> UserBody:
    """One user of the tenant."""
    return _body(await caller.resources.users.get(caller.principal.tenant, user_id))


@router.patch("/{user_id}")
async def change_user(
    user_id: UUID,
    body: UserChangeBody,
    caller: Administrator,
) -> UserBody:
    """Give another role or password, or shut or open the account; all of its sessions end."""
    command = ChangeUser(
        principal=caller.principal,
        request_id=caller.request_id,
        user_id=user_id,
        role=body.role,
        password=body.password,
        is_disabled=body.disabled,
    )
    return _body(await caller.resources.handlers.manage_users.change(command))


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
