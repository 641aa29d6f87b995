"""Entry point of `magictoolbox`: every group of commands is one line here."""

import typer

from infrastructure.cli import (
    accounts,
    blobs,
    client_commands,
    db,
    demo,
    doctor,
    projections,
    relay,
    services,
    up,
)

app = typer.Typer(
    name="magictoolbox",
    help="Turns files into other files, durably and provably.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up", rich_help_panel="Platform")(up.up)
app.command("demo", rich_help_panel="Platform")(demo.demo)
app.command("doctor", rich_help_panel="Platform")(doctor.doctor)
app.add_typer(blobs.app, name="blobs", rich_help_panel="Platform")
app.add_typer(db.app, name="db", rich_help_panel="Platform")
app.add_typer(projections.app, name="projections", rich_help_panel="Platform")
app.add_typer(relay.app, name="relay", rich_help_panel="Processes")
app.add_typer(accounts.users_app, name="users", rich_help_panel="Platform")
app.add_typer(accounts.tenants_app, name="tenants", rich_help_panel="Platform")
services.register(app)
client_commands.register(app)


def main() -> None:
    """Run the command that the arguments name."""
    app()


if __name__ == "__main__":
    main()
