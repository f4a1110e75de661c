"""The run as one page that needs nothing beside itself."""
