"""From a view to one HTML file that needs nothing else: no script, no font, no address outside."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from poseshift.flows.report.label_free import LabelFreeView
from poseshift.flows.report.view import ReportView
from poseshift.storage.files import write_atomically


def render(view: ReportView | LabelFreeView) -> str:
    """Make the page as HTML text; that of an experiment without a test has a form of its own."""
    name = "report.html.j2" if isinstance(view, ReportView) else "label_free.html.j2"
    environment = Environment(
        loader=PackageLoader("poseshift.flows.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["zip"] = zip
    return environment.get_template(name).render(view=view)


def write_page(view: ReportView | LabelFreeView, path: Path) -> None:
    """Write the page, all of it or nothing."""
    write_atomically(path, render(view))
