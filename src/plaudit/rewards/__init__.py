"""Where reward comes from: sources, each behind one protocol, and their weighted mix."""
