"""A report for people: self-contained HTML, PDF with key images, and plain text."""

from coread.interop.report_documents.html import write_html
from coread.interop.report_documents.pdf import write_pdf
from coread.interop.report_documents.pictures import KeyImage, key_image
from coread.interop.report_documents.text import write_text
from coread.interop.report_documents.view import ReportView, describe

__all__ = ["KeyImage", "ReportView", "describe", "key_image", "write_html", "write_pdf", "write_text"]
