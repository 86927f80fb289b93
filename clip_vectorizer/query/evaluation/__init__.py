"""How good the answers are: labelled images in; tables, plots and comparisons with their uncertainty out. numpy."""
