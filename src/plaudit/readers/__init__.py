"""Files people have: feedback, demonstrations, and back."""
