"""Common image corruptions at five severities, seeded per picture."""
