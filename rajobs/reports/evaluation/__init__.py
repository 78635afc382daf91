"""The sections of evaluate's page about end-to-end figures and the doubt that sends hands to review."""
