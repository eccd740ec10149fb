"""Models from outside: one door for the formats of the field.

Nothing in a model's files is run or evaluated except the network itself.
"""

from coread.recognition.importing.imported import ImportedModel, load_imported
from coread.recognition.importing.importer import format_of, import_model
from coread.recognition.importing.specification import Intensity, Specification

__all__ = ["ImportedModel", "Intensity", "Specification", "format_of", "import_model", "load_imported"]
