"""What finished runs say: times with intervals, laws in n, figures. Needs no torch."""
