"""Multi-reader multi-case studies: Obuchowski-Rockette, DBM, U-statistics, sample size, simulation."""

from coread.evaluation.mrmc.obuchowski_rockette import Analysis, analyse, analyse_figures
from coread.evaluation.mrmc.study import ReaderStudy, study_from_frame

__all__ = ["Analysis", "ReaderStudy", "analyse", "analyse_figures", "study_from_frame"]
