"""The report of a run as one HTML file: plain words, figures, and nothing fetched from outside."""

from plaudit.report.reports import write_joint_report, write_report
from plaudit.report.seeds import write_seeds_report

__all__ = ["write_joint_report", "write_report", "write_seeds_report"]
