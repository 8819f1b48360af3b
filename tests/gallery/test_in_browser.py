"""The site in headless Chromium: opened from disk, used by mouse and keyboard, read by axe-core, in both themes."""

import shutil

import pytest
from gallery_toy import succeed
from toy_repository import edit, run_in

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture
def opened(browser):
    """`opened(file, scheme, viewport)`: a page, and what it complained of or asked from elsewhere."""
    contexts = []

    def open_page(file, scheme="light", viewport=DESKTOP, fragment=""):
        context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        contexts.append(context)
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        page.on("request", lambda r: None if r.url[:5] in ("file:", "data:") else complaints.append(f"asked: {r.url}"))
        page.goto(file.as_uri() + fragment)
        return page, complaints

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def drifted(first_toy, tmp_path_factory):
    """Gallery and diff page of a toy paper whose figure is drawn otherwise than in its reference."""
    root = tmp_path_factory.mktemp("drifted") / "repository"
    shutil.copytree(first_toy.root, root)
    edit(root / "papers" / "toy" / "figures.py", 'palette="viridis"', 'palette="magma"')
    succeed(root, "-m", "shared.artifacts.build", "figures", "toy", "--scale", "smoke")
    assert run_in(root, "-m", "shared.gallery.diff", "toy", "--scale", "smoke", "--compare").returncode == 1
    succeed(root, "-m", "shared.gallery.build")
    return root / "build"


def visible(page, selector: str) -> list[str]:
    return page.eval_on_selector_all(selector, "found => found.filter(x => x.offsetParent).map(x => x.dataset.paper)")


def overhang(page) -> int:
    """CSS pixels by which the page is wider than its window, everything unfolded."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def test_no_page_complains_asks_a_server_or_hangs_over_the_edge_of_a_phone(site, opened):
    for file in sorted(site.rglob("*.html")):
        page, complaints = opened(file, viewport=PHONE)
        page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; })")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == []
        assert overhang(page) <= 0, file
        assert complaints == [], file
        page.close()


@pytest.mark.parametrize("where", ["index.html", "gidd/cpu.html"])
def test_nothing_hangs_over_the_edge_of_a_desktop(site, opened, where):
    assert overhang(opened(site / where)[0]) <= 0


def test_search_finds_papers_by_author_and_by_claim(site, opened):
    page, _ = opened(site / "index.html")
    page.fill("#search", "Schölkopf")
    assert visible(page, ".card") == ["gidd"] and visible(page, ".matrix tbody tr") == ["gidd"]
    page.fill("#search", "uniform noise costs")
    assert visible(page, ".card") == ["gidd"]
    assert "Uniform noise costs likelihood" in page.inner_text("#match-list")
    page.fill("#search", "no such words")
    assert visible(page, ".card") == [] and page.is_visible("#none")
    page.click("button[type=reset]")
    page.wait_for_function("!document.querySelector('.card[hidden]')")


def test_filters_combine_and_the_address_keeps_them(site, opened):
    page, _ = opened(site / "index.html")
    everything = visible(page, ".card")
    page.select_option("#topic", "diffusion")
    assert "gidd" in visible(page, ".card") and "logistic_gd" not in visible(page, ".card")
    page.select_option("#topic", "")
    page.select_option("#scale", "cpu")
    page.select_option("#verdict", "fails")
    failing = page.eval_on_selector_all(
        ".card",
        "all => all.filter(c => JSON.parse(c.dataset.verdicts).cpu?.includes('fails')).map(c => c.dataset.paper)",
    )
    assert visible(page, ".card") == failing and set(failing) < set(everything)
    assert page.inner_text("#count") == f"{len(failing)} of {len(everything)} papers"
    again, _ = opened(site / "index.html", fragment=page.evaluate("location.hash"))
    assert visible(again, ".card") == failing


def test_a_claim_found_by_its_verdict_leads_to_it(site, opened):
    page, _ = opened(site / "index.html")
    page.select_option("#verdict", "within noise")
    page.click("#match-list a >> nth=0")
    page.wait_for_url("**/*.html#claim-*")
    assert page.evaluate("document.querySelector(':target .badge').textContent.includes('within noise')")


def test_a_figure_is_zoomed_and_left_by_keyboard(site, opened):
    page, complaints = opened(site / "gidd" / "cpu.html")
    page.focus("figure .zoom >> nth=0")
    page.keyboard.press("Enter")
    first = page.inner_text("#zoom-name")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#zoom-name") != first
    page.wait_for_function("document.querySelector('#zoom img').naturalWidth > 800")
    page.keyboard.press("Escape")
    assert not page.is_visible("#zoom") and complaints == []


def test_the_theme_is_switched_and_remembered(site, opened):
    page, _ = opened(site / "index.html", "light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.goto((site / "gidd" / "cpu.html").as_uri())
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark


def test_the_tab_key_reaches_the_content_first(site, opened):
    page, _ = opened(site / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"


@pytest.mark.parametrize("where", ["gallery/toy/smoke.html", "diff/index.html"])
def test_the_slider_cuts_between_both_drawings_and_marks_what_differs(drifted, opened, where):
    page, complaints = opened(drifted / where)
    cut = "getComputedStyle(document.querySelector('.slider .over')).clipPath"
    page.focus(".slider input[type=range]")
    page.keyboard.press("Home")
    hidden = page.evaluate(cut)
    page.keyboard.press("End")
    whole = page.evaluate(cut)
    assert hidden != whole
    assert not page.is_visible(".slider .marks")
    page.check(".slider input[type=checkbox]")
    assert page.is_visible(".slider .marks")
    page.wait_for_function("document.querySelector('.slider .marks').naturalWidth > 100")
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", ["front", "paper", "filtered", "slider", "diff"])
def test_axe_finds_no_serious_fault(site, drifted, opened, axe, scheme, where):
    file, fragment = {
        "front": (site / "index.html", ""),
        "paper": (site / "gidd" / "cpu.html", ""),
        "filtered": (site / "index.html", "#verdict=within+noise"),
        "slider": (drifted / "gallery" / "toy" / "smoke.html", ""),
        "diff": (drifted / "diff" / "index.html", ""),
    }[where]
    page, _ = opened(file, scheme, fragment=fragment)
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert serious_faults(page, axe) == []


def serious_faults(page, axe: str) -> list[tuple[str, str]]:
    """Rule and place of what axe-core calls serious or critical."""
    page.evaluate(axe)
    violations = page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] })")["violations"]
    return [(v["id"], v["nodes"][0]["html"][:150]) for v in violations if v["impact"] in ("serious", "critical")]


def test_axe_would_find_pale_text_and_a_picture_without_words(site, opened, axe):
    page, _ = opened(site / "gidd" / "cpu.html")
    page.add_style_tag(content="h1 { color: #ddd !important; }")
    page.evaluate("document.querySelector('figure img').removeAttribute('alt')")
    assert {rule for rule, _ in serious_faults(page, axe)} >= {"color-contrast", "image-alt"}
