"""The labelling server: pages and a JSON API over one store. docs/web.md is its contract; it never imports torch."""
