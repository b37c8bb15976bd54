"""The service: personas → corpora → training → sampling → posting → timeline, a folder a stage."""
