"""Rows in CSV as the client writes it: RFC 4180, lines that end in CRLF."""
