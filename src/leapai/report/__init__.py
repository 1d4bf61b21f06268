"""The report of a run, or of two side by side, as one HTML file; and the tables of the terminal.

`run_view.py` derives from a run folder what the page shows, `page.py` and the templates in `page/`
write the file; the other modules are its sections, tables and drawings. What metrics are called and
how they are read stands in `leapai.evaluation.metrics`.
"""
