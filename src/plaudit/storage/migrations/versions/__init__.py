"""One file per version of the tables; what is released is never edited."""
