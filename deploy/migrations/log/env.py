"""Alembic's entry into this line of migrations."""

from deploy.migrations.environment import run

run()
