"""Programs that run in or around the box; each stands alone and imports the standard library only."""
