"""Which rows belong together: everything one request collects shares one id, its client's or one of ours."""
