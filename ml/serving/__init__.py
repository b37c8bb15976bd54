"""A trained model in the form that sentences are drawn from: small, quick a step at a time, without torch."""
