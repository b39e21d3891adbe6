"""What users see: tables, plots, progress and pages. Only this package imports rich."""
