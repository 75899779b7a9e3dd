"""One file per group of routes; the table of all is in docs/web.md."""
