"""A report for people: self-contained HTML, and PDF, with key images."""

from coread.interop.report_documents.html import write_html
from coread.interop.report_documents.pdf import write_pdf
from coread.interop.report_documents.pictures import KeyImage, key_image
from coread.interop.report_documents.view import ReportView, describe

__all__ = ["KeyImage", "ReportView", "describe", "key_image", "write_html", "write_pdf"]
