"""Who may talk to the service: API keys."""
