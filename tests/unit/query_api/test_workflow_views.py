"""Every fact of a workflow can be shown, and no text breaks the picture."""

from events.domain.workflow import Workflow
from projectors.projections.workflow_summary import WorkflowSummary
from query_api.workflow_picture import _plain
from query_api.workflow_views import DETAILS


def test_every_fact_of_a_workflow_is_shown_and_projected() -> None:
    assert DETAILS.keys() == Workflow.FOLDS.keys() == WorkflowSummary().handles


def test_text_in_a_box_cannot_end_it_nor_become_markup() -> None:
    assert _plain('a"]<b>;x') == "a#34;#93;#60;b#62;#59;x"
    assert _plain("image-converter_1.0") == "image-converter_1.0"
