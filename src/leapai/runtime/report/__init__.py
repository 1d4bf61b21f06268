"""The report of a run, or of two side by side: one HTML file that needs nothing else.

`read.py` makes of a run folder what the page shows; `figures.py` and `tables.py` are its numbers,
`charts.py` and `timeline.py` its drawings, `page.py` and the templates in `page/` the file.
"""
