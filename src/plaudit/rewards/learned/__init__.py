"""A reward learned from what people say: terms, the fit, people, the loop."""
