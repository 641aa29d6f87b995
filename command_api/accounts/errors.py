"""What the rules of accounts refuse; each docstring is the message a client may see."""

from events.domain.errors import DomainError, NotFound


class BadCredentials(DomainError):
    """The user name or the password is wrong."""

    code = "BAD_CREDENTIALS"


class RefreshTokenInvalid(DomainError):
    """The refresh token is unknown, used up or expired; log in again."""

    code = "REFRESH_TOKEN_INVALID"


class UserNotFound(NotFound):
    """There is no such user."""

    code = "USER_NOT_FOUND"


class TenantNotFound(NotFound):
    """There is no such tenant."""

    code = "TENANT_NOT_FOUND"


class UsernameTaken(DomainError):
    """This user name is taken."""

    code = "USERNAME_TAKEN"


class TenantTaken(DomainError):
    """There is a tenant of this name."""

    code = "TENANT_TAKEN"


class OwnAccount(DomainError):
    """Nobody changes the own role or disables the own account; ask another administrator."""

    code = "OWN_ACCOUNT"


class PasswordWeak(DomainError):
    """A password has 8 to 1024 characters and is not the user name."""

    code = "PASSWORD_WEAK"


class AccountsUnavailable(Exception):
    """The accounts cannot be read or written at the moment."""
