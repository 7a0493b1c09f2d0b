"""From the command line and config files to objects, and what is wrong with them in one line."""
