"""Gymnasium environments: sources of steps, collection, replay and rendering."""
