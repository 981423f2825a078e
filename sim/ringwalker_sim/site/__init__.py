"""The documentation as a site: what MkDocs does beside its own, and the pages of reference."""
