"""What a model is asked: prompts, the ways of asking, and the files of its answers."""
