"""The report of a language run, from the files of its folder alone: no model is loaded."""
