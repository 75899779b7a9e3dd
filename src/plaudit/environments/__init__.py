"""Where policies act; the only place that imports gymnasium."""
