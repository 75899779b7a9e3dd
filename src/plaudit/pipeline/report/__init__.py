"""The report of a run: one self-contained page in plain words."""

from plaudit.pipeline.report.page import write_report

__all__ = ["write_report"]
