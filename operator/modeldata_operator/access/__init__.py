"""Who may use which storage: keys, SAS, identities, the Secrets in the pods' namespaces, the look at a container."""
