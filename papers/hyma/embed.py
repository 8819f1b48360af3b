"""Step: build the zoo and run it once over all data; every method reads these embeddings.

python -m papers.hyma.embed --scale cpu --shard zoo
"""

from collections.abc import Iterator
from pathlib import Path

from papers.hyma.settings import Zoo
from papers.hyma.zoo import build_zoo
from shared.artifacts.step import step


@step(outputs={"embeddings": "zoo/{shard}.safetensors"})
def embed(settings: Zoo, embeddings: Path, device: str) -> Iterator[dict]:
    """Train the zoo's encoders, each on its own modality, and embed all splits."""
    if settings.data.source == "hub":
        from papers.hyma.pretrained import build_zoo as build_pretrained

        zoo = build_pretrained(settings, device)
    else:
        zoo = build_zoo(settings)
    zoo.save(embeddings)
    for kind, encoders in (("image", zoo.images), ("text", zoo.texts)):
        for name, cached in encoders.items():
            row = {"kind": kind, "encoder": name, "dim": cached.dim, "score": cached.score, "digest": cached.digest}
            yield row | {f"num_{split}": len(values) for split, values in cached.splits.items()}


if __name__ == "__main__":
    embed.main()
