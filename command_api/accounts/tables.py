"""The tables of the schema `accounts`; the migrations make them, a test compares the two."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)

metadata = MetaData(schema="accounts")

tenants = Table(
    "tenants",
    metadata,
    Column("name", Text, CheckConstraint("name ~ '^[a-z0-9](-?[a-z0-9])*$'"), primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant", Text, ForeignKey("accounts.tenants.name"), nullable=False),
    # Unique on the whole platform: the password form of OAuth2 has no field for a tenant.
    Column("username", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("is_disabled", Boolean, nullable=False),
    Column("session_version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Index("users_of_tenant", "tenant", "username"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    # All tokens that followed one login by rotation.
    Column("family", Uuid, nullable=False, index=True),
    Column("user_id", Uuid, ForeignKey("accounts.users.id"), nullable=False),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Index("refresh_tokens_of_user", "user_id", "issued_at"),
    Index("refresh_tokens_expiry", "expires_at"),
)

# A view: whose sessions still count.
sessions = Table(
    "sessions",
    MetaData(schema="accounts"),
    Column("user_id", Uuid, primary_key=True),
    Column("session_version", Integer, nullable=False),
)
