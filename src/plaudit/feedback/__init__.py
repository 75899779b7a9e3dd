"""One file per kind of feedback; no input or output."""
