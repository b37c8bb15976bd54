"""Stage 1: personas, the voices that own everything else."""
