"""The webhook: every new pod comes by here, and none is ever refused."""
