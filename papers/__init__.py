"""One package per paper. A paper imports `shared` and never another paper."""
