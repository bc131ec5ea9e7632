"""Why the API server believes the webhook: certificate authority, certificate, caBundle."""
