"""The HTTP side: the reading page, the API, DICOMweb and FHIR on one origin."""
