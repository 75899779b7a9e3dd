"""One file per algorithm; the folder says what it eats."""
