"""Translation between the core and DICOM, DICOMweb, FHIR, NIfTI, and report documents."""
