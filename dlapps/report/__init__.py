"""The report of a run: one self-contained page, from the files of its folder alone."""
