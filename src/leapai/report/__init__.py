"""The report of a run, or of two side by side: one HTML file that needs nothing else.

`run_view.py` derives from a run folder what the page shows, `page.py` and the templates in `page/`
write the file; the other modules are its sections, tables and drawings.
"""
