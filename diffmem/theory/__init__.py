"""Random-feature theory of arXiv 2505.17638, section 3: spectra and exact training curves."""
