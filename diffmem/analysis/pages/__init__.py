"""Pages to open or to mail: one HTML file of a run or a study, made from tables and files alone."""
