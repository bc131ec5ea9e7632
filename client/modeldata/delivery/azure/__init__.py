"""Requests to Blob Storage, what they are signed with, and what their answers mean."""
