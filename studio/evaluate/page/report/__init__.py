"""One evaluation as a report: scores, charts, rows, another one beside it."""
