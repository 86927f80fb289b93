"""Evaluation: labelled images in; tables, plots and comparisons with confidence intervals out."""
