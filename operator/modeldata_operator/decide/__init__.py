"""What is decided: records in, decisions out. No request, no SDK, no clock; import-linter holds it to that."""
