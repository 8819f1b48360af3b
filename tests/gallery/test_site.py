"""The written site: complete, self-contained, light, and true to the files it shows."""

import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from gallery_toy import succeed

from shared.artifacts.paths import paper_slugs
from shared.base.paths import repo_root
from shared.gallery.editions import all_editions, editions, main_edition


class Page(HTMLParser):
    """Addresses, ids and the sources that load at once, of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links, self.sources, self.ids, self.eager, self.missing_alt = [], [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        elif tag == "link":
            self.sources.append(found["href"])
        elif "src" in found:
            self.sources.append(found["src"])
            if tag == "img":
                self.eager += [found["src"]] if found.get("loading") != "lazy" else []
                self.missing_alt += [found["src"]] if "alt" not in found else []


@pytest.fixture(scope="module")
def pages(site):
    return {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}


def test_every_link_image_and_download_resolves(site, pages):
    for file, page in pages.items():
        for address in [*page.links, *page.sources]:
            parts = urlsplit(address)
            if parts.scheme:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), f"{file.relative_to(site)} -> {address}"
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].ids, f"{file.relative_to(site)} -> {address}"


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for page in pages.values():
        assert [s for s in page.sources if urlsplit(s).scheme not in ("", "data")] == []
    for file in [*site.rglob("*.css"), *site.rglob("*.js")]:
        assert not re.search(r"https?:|@import|url\(", file.read_text(encoding="utf-8")), file


def test_ids_are_unique_and_every_image_has_a_text(pages):
    for file, page in pages.items():
        assert [id for id, n in Counter(page.ids).items() if n > 1] == [], file
        assert page.missing_alt == [], file


def test_every_paper_with_a_reference_is_there_at_each_of_its_scales(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    found = all_editions()
    assert set(found) == {
        s for s in paper_slugs() if any((repo_root() / "papers" / s / "reference").glob("*/claims.json"))
    }
    for slug, those in found.items():
        assert f'data-paper="{slug}"' in front
        for edition in those:
            assert f'href="{edition.page}"' in front and (site / edition.page).is_file()


def test_the_front_page_counts_what_claims_json_says(site):
    front = (site / "index.html").read_text(encoding="utf-8")
    leads = [main_edition(found) for found in all_editions().values()]
    verdicts = Counter(entry["verdict"] for lead in leads for entry in lead.claims)
    shown = dict(re.findall(r"</span> ([a-z ]+)</dt><dd>(\d+)</dd>", front))
    assert {verdict: int(count) for verdict, count in shown.items()} == dict(verdicts)


def test_a_page_has_every_claim_figure_and_table_of_its_edition(pages, site):
    for found in all_editions().values():
        for edition in found:
            ids = set(pages[site / edition.page].ids)
            wanted = {*edition.figures, *edition.tables, *(f"claim-{entry['id']}" for entry in edition.claims)}
            assert wanted <= ids, edition.page


def test_a_page_weighs_little_before_it_is_scrolled(site, pages):
    for file, page in pages.items():
        at_once = sum((file.parent / s).stat().st_size for s in {*page.eager, *page.sources[1:3]} if ":" not in s)
        assert at_once < 500_000, (file, at_once)
        assert file.stat().st_size < 450_000, file
    shown = [p.stat().st_size for p in site.rglob("*.webp")]
    assert sorted(shown)[len(shown) // 2] < 60_000


def test_the_site_takes_less_than_a_minute(site_and_seconds):
    """Of one CPU, all papers from nothing; measured 11 s for seven papers in November 2026."""
    assert site_and_seconds[1] < 60


def test_a_second_build_is_equal_and_removes_what_is_gone(first_toy, tmp_path):
    arguments = ("-m", "shared.gallery.build", "--out", str(tmp_path))
    succeed(first_toy.root, *arguments)
    first = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "old.html").write_text("old")
    succeed(first_toy.root, *arguments)
    assert {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == first
    assert not (tmp_path / "gone").exists()


def test_results_of_this_checkout_come_before_the_reference(toy):
    def shown(*options: str) -> str:
        succeed(toy.root, "-m", "shared.gallery.build", *options)
        return (toy.root / "build" / "gallery" / "toy" / "smoke.html").read_text(encoding="utf-8")

    page = shown()
    assert "built in this checkout" in page and "Draws the reference’s pixels" in page and "fig_loss.svg" in page
    (toy.results / "summary.md").unlink()
    page = shown()
    assert "committed reference" in page and "built in this checkout" not in page and "fig_loss.svg" not in page
    assert 'href="../toy/smoke/fig_loss.svg"' in shown("--svg")
    drawn = (toy.root / "build" / "gallery" / "toy" / "smoke" / "fig_loss.svg").read_bytes()
    assert drawn == (toy.results / "figures" / "fig_loss.svg").read_bytes()


def test_a_paper_with_nothing_to_show_stands_in_the_matrix_alone(toy):
    shutil.copytree(toy.paper, toy.root / "papers" / "empty", ignore=shutil.ignore_patterns("results", "reference"))
    page_of(toy)
    front = (toy.root / "build" / "gallery" / "index.html").read_text(encoding="utf-8")
    assert front.count("configured, not run") == 4 + 3 and 'data-paper="empty"' not in front
    assert "<code>empty</code>" in front and "1 machine-learning paper, rebuilt" in front


def test_the_figures_command_is_a_target_of_snakemake(toy):
    command = ["papers/toy/results/smoke/figures/fig_loss.png", "--config", "scale=smoke"]
    assert " ".join(["snakemake", *command]) in page_of(toy)
    assert "toy_figures" in succeed(toy.root, "-m", "snakemake", "-n", "--forceall", *command)


def page_of(toy) -> str:
    succeed(toy.root, "-m", "shared.gallery.build")
    return (toy.root / "build" / "gallery" / "toy" / "smoke.html").read_text(encoding="utf-8")


def test_what_a_table_holds_is_shown_as_text_even_if_it_looks_like_html(toy):
    claims = json.loads((toy.results / "claims.json").read_text())
    claims[0]["statement"] = "<img src=x onerror=alert(1)> & so on."
    (toy.results / "claims.json").write_text(json.dumps(claims))
    assert "<img src=x" not in page_of(toy) and "&lt;img src=x" in page_of(toy)


def test_lead_has_to_be_a_figure(toy):
    file = toy.paper / "paper.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "lead": "fig_los"}))
    with pytest.raises(ValueError, match="lead 'fig_los' is no figure of this file; did you mean 'fig_loss'"):
        editions("toy", toy.root)
