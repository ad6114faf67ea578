"""From a view to one HTML file that needs nothing else: no script, no font, no address outside."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from poseshift.flows.report.comparison import ComparisonView
from poseshift.flows.report.label_free import LabelFreeView
from poseshift.flows.report.view import ReportView
from poseshift.storage.files import write_atomically

View = ReportView | LabelFreeView | ComparisonView
"""An experiment, one without a test, or several of them."""

_TEMPLATES: dict[type[View], str] = {
    ReportView: "report.html.j2",
    LabelFreeView: "label_free.html.j2",
    ComparisonView: "comparison.html.j2",
}


def render(view: View) -> str:
    """Make the page as HTML text; each kind of view has a form of its own."""
    environment = Environment(
        loader=PackageLoader("poseshift.flows.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["zip"] = zip
    return environment.get_template(_TEMPLATES[type(view)]).render(view=view)


def write_page(view: View, path: Path) -> None:
    """Write the page, all of it or nothing."""
    write_atomically(path, render(view))
