"""Measurements of samples: plain functions, and torchmetrics that merge them over batches and ranks."""
