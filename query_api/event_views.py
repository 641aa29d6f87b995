"""Makes the view of an event from its row: opens what is sealed."""

from typing import Final

from query_api.queries.timeline import EventRow
from query_api.sealed import SealedText
from query_api.views import EventView

MESSAGE: Final = "message"


def event_view(row: EventRow, text: SealedText) -> EventView:
    """One event, with its sealed text opened."""
    details = row.details
    if MESSAGE in details:
        details = {**details, MESSAGE: text.message(details[MESSAGE])}
    return EventView(
        position=row.position,
        version=row.version,
        topic=row.topic,
        actor=row.actor,
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        details=details,
    )
