"""plaudit: learn what people want from what they say about behaviour, and make a policy do more of it."""
