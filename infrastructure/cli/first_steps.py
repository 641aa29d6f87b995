"""What to type first: the administrator's login, and one line that runs a job."""

from infrastructure.cli.platform_plan import PlatformPlan

TEXT = """
  command API    {command}/docs
  query API      {query}/docs
  administrator  {username}
  password       {password}

Paste this to run a first job:

  {line}
"""
# One pasted line: log in, send a small file made on the spot, wait for the result.
LINE = (
    "TOKEN=$(curl -sS {command}/api/v1/auth/token -d username={username} -d 'password={password}'"
    """ | sed 's/.*"access_token": *"\\([^"]*\\)".*/\\1/')"""
    " && printf 'Hello, MagicToolbox' | curl -sS {command}/api/v1/tools/checksum/process"
    """ -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=10' -F 'file=@-;filename=hello.txt'"""
)


def first_steps(plan: PlatformPlan) -> str:
    """The text for a terminal."""
    told = {
        "username": plan.environment["ADMIN_USERNAME"],
        "password": plan.environment["ADMIN_PASSWORD"],
        "command": plan.command_url,
        "query": plan.query_url,
    }
    return TEXT.format(line=LINE.format(**told), **told)
