"""Models from outside: one door for the formats of the field.

Nothing in a model's files is run or evaluated except the network itself.
"""

from coread.recognition.importing.draft import Draft, drafts, preparation_digest, read_draft
from coread.recognition.importing.imported import ImportedModel, load_imported
from coread.recognition.importing.importer import format_of, import_draft, import_model
from coread.recognition.importing.specification import Intensity, Specification

__all__ = [
    "Draft",
    "ImportedModel",
    "Intensity",
    "Specification",
    "drafts",
    "format_of",
    "import_draft",
    "import_model",
    "load_imported",
    "preparation_digest",
    "read_draft",
]
