"""The schema that all read models live in.

A read model's name is a view; its rows lie in a table of the live generation (`job_summary_1`). A
rebuild fills the tables of the next generation and moves the views, so readers use the plain name
and never notice. Columns and indexes stand once, here, for every generation.
"""

from typing import Final

from sqlalchemy import MetaData, Table
from sqlalchemy.sql import quoted_name

SCHEMA: Final = "read_models"

metadata = MetaData(schema=SCHEMA)


def physical_name(name: str, generation: int) -> str:
    """The table that holds one generation of a read model."""
    return f"{name}_{generation}"


def physical_table(table: Table, generation: int) -> Table:
    """One generation of a read model, with its key and indexes under names of its own."""
    copy = table.to_metadata(MetaData(schema=SCHEMA), name=physical_name(table.name, generation))
    for index in copy.indexes:
        index.name = quoted_name(physical_name(str(index.name), generation), quote=None)
    copy.primary_key.name = physical_name(f"{table.name}_pkey", generation)
    return copy
