"""Ground floor: errors, strict settings, atomic files, paths, the build-once cache, seeding. No torch, no numpy."""
