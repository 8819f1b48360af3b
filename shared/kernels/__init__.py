"""Sequence kernels as pure tensor functions: one public function each, up to three backends."""
