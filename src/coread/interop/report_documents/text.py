"""A report as plain text."""

from __future__ import annotations

from coread.interop.report_documents.view import ReportView


def write_text(view: ReportView) -> bytes:
    """Return a report as plain text in UTF-8; words of a model say whose they are."""
    parts = [view.title, "\n".join(view.labels), "\n".join(f"{name}: {value}" for name, value in view.facts)]
    for section in view.sections:
        lines = [f"{s.text} [{s.origin}]" if s.by_model else s.text for s in section.sentences]
        if lines:
            parts.append("\n".join((f"{section.title}:", *lines)))
    parts += [f"{heading}:\n{text}" for heading, text in view.addenda]
    if view.signature is not None:
        parts.append(view.signature)
    return ("\n\n".join(part for part in parts if part) + "\n").encode()
