"""Stage 3: from a corpus to model versions, their evaluations and their promotion."""
