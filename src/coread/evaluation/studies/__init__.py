"""Whole studies: from a table to figures, tables, plots and the items of reporting guidelines."""

from coread.evaluation.studies.agreement import agreement_study, segmentation_study
from coread.evaluation.studies.models import calibration_study, survival_study, utility_study
from coread.evaluation.studies.readers import froc_study_report, mrmc_study
from coread.evaluation.studies.report import Options, StudyReport, html, metrics_block
from coread.evaluation.studies.scores import roc_study
from coread.evaluation.studies.trust import double_reading_study, drift_study, subgroup_study

__all__ = [
    "Options",
    "StudyReport",
    "agreement_study",
    "calibration_study",
    "double_reading_study",
    "drift_study",
    "froc_study_report",
    "html",
    "metrics_block",
    "mrmc_study",
    "roc_study",
    "segmentation_study",
    "subgroup_study",
    "survival_study",
    "utility_study",
]
