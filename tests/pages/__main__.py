"""`python -m tests.pages`: write docs/tools/ anew."""

from tests.pages.book import write

write()
