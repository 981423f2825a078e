"""The documentation as a site: what MkDocs does beside its own, the pages of reference, and commands in pages."""
