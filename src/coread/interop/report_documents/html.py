"""A report as one HTML file that needs nothing else: no script, no link, no network."""

from __future__ import annotations

import base64

import jinja2

from coread.interop.report_documents.view import ReportView

_TEMPLATE = "report.html.j2"


def write_html(view: ReportView) -> bytes:
    """Return a report as HTML in UTF-8; every text is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("coread.interop", "report_documents"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    return environment.get_template(_TEMPLATE).render(view=view).encode()
