"""Pages of the site, from the editions of all papers."""

import hashlib
import json
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from shared.artifacts.checks import VERDICTS
from shared.artifacts.config import load_config, scales_of
from shared.artifacts.csv_files import read_csv
from shared.artifacts.paths import SCALES
from shared.artifacts.pixels import PIXEL_SHARE
from shared.artifacts.wording import MARKS, check_text, deciding_check, number
from shared.gallery.bars import HEIGHT, WIDTH, bar_of, measured, wanted
from shared.gallery.csv_tables import read_table
from shared.gallery.editions import Edition, by_lead, main_edition
from shared.gallery.images import THUMBNAIL_WIDTH, Site
from shared.gallery.readme_parts import read_parts

MOST_REPORTED = 200  # rows of reported.csv
STATIC = Path(__file__).parent / "static"
TONES = dict(zip(VERDICTS, ("holds", "fails", "noise", "untested"), strict=True))  # classes of the style sheet


def environment() -> Environment:
    """Templates with the words that all pages share."""
    found = Environment(
        loader=PackageLoader("shared.gallery"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals.update(marks=MARKS, tones=TONES, bar_width=WIDTH, bar_height=HEIGHT, bar_of=bar_of)
    found.globals.update(measured=measured, wanted=wanted, number=number, check_text=check_text)
    found.globals.update(deciding_check=deciding_check, counted=counted)
    return found


def counted(counts: dict[str, int]) -> str:
    """`7 hold, 1 fails`: verdicts of one edition in words."""
    words = {"holds": ("holds", "hold"), "fails": ("fails", "fail")}
    return ", ".join(f"{n} {words.get(v, (v, v))[n > 1]}" for v, n in counts.items()) or "no claims"


def write_static(site: Site, *names: str) -> None:
    """Put style sheet and scripts into the site."""
    for name in names:
        site.copy(STATIC / name, f"static/{name}")


def write_front_page(
    site: Site, papers: dict[str, list[Edition]], bare: dict[str, list[str]], templates: Environment
) -> None:
    """The matrix of papers and scales, a card for each paper, and the claims that the search looks through.

    Args:
        bare: papers that have nothing to show yet, with the scales that they are configured for.
    """
    cards = []
    for slug, found in papers.items():
        lead = main_edition(found)
        figure = next(iter(lead.figures), None)
        picture = figure and site.small(lead.png(figure), f"{slug}/{lead.scale}/{figure}.small.webp", THUMBNAIL_WIDTH)
        words = [slug, lead.paper.title, *lead.paper.authors, lead.paper.venue, lead.paper.arxiv, *lead.paper.topics]
        cards.append(
            {
                "slug": slug,
                "paper": lead.paper,
                "lead": lead,
                "editions": {edition.scale: edition for edition in found},
                "configured": scales_of(slug, lead.paths.root),
                "picture": picture,
                "figure": figure,
                "words": " ".join(words).lower(),
                "verdicts": json.dumps({edition.scale: list(edition.counts) for edition in found}),
            }
        )
    every = [edition for found in papers.values() for edition in found]
    present = {edition.scale for edition in every}
    claims = [
        {
            "paper": edition.slug,
            "scale": edition.scale,
            "id": entry["id"],
            "statement": entry["statement"],
            "verdict": entry["verdict"],
            "page": edition.page,
        }
        for found in papers.values()
        for edition in by_lead(found)
        for entry in edition.claims
    ]
    leads = [card["lead"] for card in cards]
    page = templates.get_template("index.html").render(
        depth="",
        cards=cards,
        scales=[*SCALES, *sorted(present - set(SCALES))],
        topics=sorted({topic for card in cards for topic in card["paper"].topics}),
        claims=claims,
        bare=bare,
        totals={verdict: sum(lead.counts.get(verdict, 0) for lead in leads) for verdict in VERDICTS},
        num_figures=sum(len(lead.figures) for lead in leads),
        num_tables=sum(len(lead.tables) for lead in leads),
    )
    site.text("index.html", page)


def write_paper_page(
    site: Site, edition: Edition, siblings: list[Edition], templates: Environment, draw_svg: bool = False
) -> None:
    """Figures, claims, tables and provenance of one paper at one scale.

    Args:
        draw_svg: draw the SVG of a figure that has none; a reference holds PNGs only.
    """
    paths = edition.paths
    root = paths.root
    reported = paths.folder / "reported.csv"
    settings = load_config(edition.slug, edition.scale, root).model_dump(mode="json")
    page = templates.get_template("paper.html").render(
        depth="../",
        edition=edition,
        paper=edition.paper,
        siblings=siblings,
        lead=next(iter(edition.figures), None),
        parts=read_parts(paths.folder),
        figures=[_figure(site, edition, name, draw_svg) for name in edition.figures],
        tables=[_table(site, edition, name) for name in edition.tables],
        reported=read_table(reported, most_rows=MOST_REPORTED) if reported.is_file() else None,
        settings=yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=100),
        files=_files(edition),
        data_hash=_data_hash(root),
    )
    site.text(edition.page, page)


def _figure(site: Site, edition: Edition, name: str, draw_svg: bool) -> dict:
    """A figure with its files; where it was built here and the reference draws otherwise, with both and the marks."""
    below, png = f"{edition.slug}/{edition.scale}", edition.png(name)
    svg, reference = edition.svg(name), edition.reference_png(name)
    found = {
        "name": name,
        "artifact": edition.paper.figures[name],
        "picture": site.small(png, f"{below}/{name}.webp"),
        "png": site.copy(png, f"{below}/{name}.png"),
        "csv": site.copy(edition.csv(name), f"{below}/{name}.csv"),
        "svg": site.copy(svg, f"{below}/{name}.svg") if svg else None,
        "against": None,
        "same": False,
    }
    if draw_svg and svg is None:
        from shared.artifacts.figures import draw  # matplotlib is slow to import

        found["svg"] = f"{below}/{name}.svg"
        drawn = draw(edition.slug, name, read_csv(edition.csv(name)), kinds=("svg",))["svg"]
        site.text(found["svg"], drawn.decode("utf-8"))
    if reference is not None:
        share, marks = site.marks(reference, png, f"{below}/{name}.marks.png")
        found["same"] = share <= PIXEL_SHARE
        if not found["same"]:
            picture = site.small(reference, f"{below}/{name}.reference.webp")
            found["against"] = {"picture": picture, "marks": marks, "share": share}
    return found


def _table(site: Site, edition: Edition, name: str) -> dict:
    source = edition.csv(name)
    return {
        "name": name,
        "artifact": edition.paper.tables[name],
        "csv": site.copy(source, f"{edition.slug}/{edition.scale}/{name}.csv"),
        "shown": read_table(source),
    }


def _files(edition: Edition) -> list[tuple[str, str]]:
    """Every file that is shown, with its sha256."""
    files = [edition.csv(name) for name in (*edition.tables, *edition.figures)]
    files += [edition.png(name) for name in edition.figures]
    return [
        (edition.paths.relative(f).removeprefix(f"papers/{edition.slug}/"), hashlib.sha256(f.read_bytes()).hexdigest())
        for f in files
    ]


def _data_hash(root: Path) -> str | None:
    """The hash under which data.dvc tracks data/."""
    file = root / "data.dvc"
    return yaml.safe_load(file.read_text(encoding="utf-8"))["outs"][0]["md5"] if file.is_file() else None
