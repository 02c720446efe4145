"""The page of `explain` in a headless browser: its numbers, controls, views, formulas and looks. Nothing is asked of the network."""

import math
import re
import shutil

import jax
import jax.numpy as jnp
import pytest

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.models.digits import MODELS
from examples import worked_example, xor

playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need the Python package playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the tests of the page need chromium or google-chrome, and none is installed")

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
PHONE, DESKTOP = 380, 1280
VIEWS = ("forward", "backward", "update")
HOSTILE = '<img src="x" onerror="document.title=1">&amp;\'</script><!--<script>'
key = jax.random.key(0)


class Xor(nn.Module):
    def __init__(self):
        self.hidden, self.output = nn.Linear(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return F.sigmoid(self.output(F.sigmoid(self.hidden(x))))


def article():
    return bpjax.explain(worked_example.loss, *worked_example.example_args(), has_aux=True, learning_rate=1.0, steps=3)


def article_with_nan():
    (params,) = worked_example.example_args()
    params["hidden"]["weight"] = params["hidden"]["weight"].at[0, 0].set(jnp.nan).at[1, 1].set(-jnp.inf)
    return bpjax.explain(worked_example.loss, params, has_aux=True, learning_rate=1.0)


def four_examples():
    model, x, y = Xor(), jnp.array(xor.X, float), jnp.array(xor.Y, float)
    return bpjax.explain(lambda p: jnp.sum((model.apply(p, x) - y) ** 2) / 2, model.init(key), learning_rate=0.5, steps=2)


def digits():
    model = MODELS["cnn"]()
    images, labels = jax.random.normal(key, (4, 8, 8)), jnp.arange(4)
    return bpjax.explain(lambda p: F.cross_entropy(model.apply(p, images), labels), model.init(key))


def wide():
    params = {name: {"w": jax.random.normal(jax.random.key(i), (12, n))} for i, (name, n) in enumerate([("a", 12), ("b", 3)])}
    x = jnp.linspace(-1.0, 1.0, 12)
    return bpjax.explain(lambda p: F.cross_entropy(jnp.tanh(x @ p["a"]["w"]) @ p["b"]["w"], jnp.array(1)), params)


def hostile():
    def loss(p):
        return jnp.sum(jnp.tanh(jnp.array([0.5, 1.0]) @ p[HOSTILE]["w"] + p[HOSTILE]["b"]))

    loss.__name__ = HOSTILE
    return bpjax.explain(loss, {HOSTILE: {"w": jnp.ones((2, 2)), "b": jnp.zeros(2)}})


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Each explanation, and the file of its page, made once when it is first asked for."""
    made, folder = {}, tmp_path_factory.mktemp("pages")

    def get(make):
        if make not in made:
            with jax.enable_x64(make in (article, article_with_nan)):
                explanation = make()
            made[make] = explanation, explanation.save(folder / f"{make.__name__}.html")
        return made[make]

    return get


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, pages):
    """Opens a page offline. In the end nothing but the file may have been asked for, and no error may have been reported."""
    contexts, asked, errors = [], [], []

    def answer(route):
        asked.append(route.request.url)
        route.continue_() if route.request.url.startswith("file:") else route.abort()

    def open_page(make, width=DESKTOP, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.route("**/*", answer)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(pages(make)[1].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert len(asked) == len(contexts) and all(url.endswith(".html") for url in asked)
    assert errors == []


def text_of(page, selector="body"):
    """What can be read, with the hyphen for the minus sign."""
    return page.inner_text(selector).replace("−", "-")


def drawn(page):
    return " ".join(page.eval_on_selector_all(".drawing text", "all => all.map((t) => t.textContent)")).replace("−", "-")


def choose(page, view):
    page.click(f"[data-view={view}]")


def loss_shown(page):
    return text_of(page, "#loss")


@pytest.fixture(scope="module")
def right():
    return {name: f"{value:.6f}" for name, value in worked_example.quantities().items()}


NAMES = sorted(worked_example.ARTICLE)


@pytest.fixture(scope="module")
def readings(browser, pages):
    """Tables and drawing of the article's network, by step and view."""
    page = browser.new_page()
    page.goto(pages(article)[1].as_uri())
    found = {}
    for step in (0, 1):
        for view in VIEWS:
            choose(page, view)
            found[step, view] = text_of(page, f"#{view}"), drawn(page)
        page.click("#next")
    page.close()
    return found


def place_of(name):
    return int(name.startswith("then")), "backward" if "delta" in name else "update" if name.startswith("new") else "forward"


@pytest.mark.parametrize("name", NAMES)
def test_the_table_shows_the_articles(name, readings, right):
    assert right[name] in readings[place_of(name)][0]


@pytest.mark.parametrize("name", [name for name in NAMES if "error" not in name])
def test_the_drawing_shows_the_articles(name, readings, right):
    assert right[name] in readings[place_of(name)][1]


def test_buttons_slider_and_keys_go_through_the_steps(visit, pages):
    page, losses = visit(article), [step["loss"] for step in pages(article)[0].steps]
    assert loss_shown(page) == losses[0] and page.is_disabled("#previous")
    page.click("#next")
    assert loss_shown(page) == losses[1] and "step 1 of 3" in text_of(page) and losses[1] in text_of(page, "#forward")
    page.keyboard.press("ArrowRight")
    assert loss_shown(page) == losses[2]
    page.keyboard.press("ArrowLeft")
    page.click("#previous")
    assert loss_shown(page) == losses[0]
    page.focus("#slider")
    page.keyboard.press("End")
    assert loss_shown(page) == losses[3] and page.is_disabled("#next")
    page.keyboard.press("ArrowLeft")
    assert loss_shown(page) == losses[2]
    page.locator("#slider").fill("1")
    assert loss_shown(page) == losses[1]


def test_play_runs_to_the_last_step_and_stops(visit, pages):
    page = visit(article)
    page.click("#next")
    page.click("#next")
    page.click("#play")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.locator("#play[aria-label=Play]").wait_for(timeout=5000)
    assert text_of(page, "#state") == "after the last update" and loss_shown(page) == pages(article)[0].steps[-1]["loss"]


def test_the_curve_marks_the_step_and_takes_one_where_it_is_clicked(visit):
    page = visit(article)
    before = page.get_attribute(".now", "cx")
    box = page.locator("#curve svg").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.74, box["y"] + box["height"] / 2)
    assert page.input_value("#slider") == "3" and page.get_attribute(".now", "cx") != before


def test_the_state_after_the_last_update_has_no_update(visit):
    page = visit(article)
    choose(page, "update")
    assert "→" in drawn(page)
    page.locator("#slider").fill("3")
    assert "→" not in drawn(page) and "no further one follows" in text_of(page, "#update") and not page.query_selector("#update table")
    assert page.query_selector("#backward table")


def test_the_view_that_is_shown_is_marked(visit):
    page = visit(article)
    for view in VIEWS:
        choose(page, view)
        pressed = page.eval_on_selector_all("[data-view][aria-pressed=true]", "all => all.map((b) => b.dataset.view)")
        assert pressed == [view] and view.capitalize() in text_of(page, "figcaption")


def test_each_of_four_examples_can_be_chosen(visit, pages):
    page, network = visit(four_examples), pages(four_examples)[0].steps[0]["network"]
    for n, x in enumerate(xor.X):
        page.click(f"[data-example='{n}']")
        assert f"({x[0]}, {x[1]})" in text_of(page, "#network")
        for layer in network["layers"]:
            for value in (*layer["sum"][n], *layer["output"][n], *layer["bias"]):
                assert f"{value:.6f}" in drawn(page)
    choose(page, "backward")
    for layer in network["layers"]:
        for value in layer["delta"][3]:
            assert f"{value:.6f}" in drawn(page) and f"{-value:.6f}" in drawn(page)


def test_one_example_needs_no_choice(visit):
    assert not visit(article).is_visible(".choice")


@pytest.mark.parametrize(
    ("view", "where", "words"),
    [
        ("forward", "unit 1 0", "0.200000 · 0.350000 + 0.200000 · 0.700000 = 0.210000"),
        ("forward", "unit 2 0", "= 0.665074"),
        ("forward", "edge 0 0 1", "0.200000 · 0.700000 = 0.140000"),
        ("backward", "unit 1 0", "(0.300000 · 0.036770) · 0.552308 · (1 - 0.552308) = 0.002728"),
        ("backward", "unit 2 0", "0.165074 · 0.665074 · (1 - 0.665074) = 0.036770"),
        ("backward", "edge 1 0 1", "0.036770 · 0.578105 = 0.021257"),
        ("update", "edge 1 0 1", "0.900000 - 1 · 0.021257 = 0.878743"),
        ("update", "unit 1 0", "0.200000 - 1 · 0.000955 = 0.199045"),
    ],
)
def test_pointing_shows_a_formula_with_its_numbers(view, where, words, visit):
    page = visit(article)
    choose(page, view)
    page.locator(f"[data-key='{where}']").last.hover()
    assert words in " ".join(text_of(page, ".panel").split())


def test_the_tab_key_shows_formulas_too_and_stays_where_it_is_at_the_next_step(visit):
    page = visit(article)
    page.focus("[data-view=update]")
    for _ in range(2):
        page.keyboard.press("Tab")
    first = text_of(page, ".panel")
    page.keyboard.press("Tab")
    assert "Weight" in first and first != text_of(page, ".panel")
    focused = "document.activeElement.dataset.key"
    before = page.evaluate(focused)
    page.keyboard.press("ArrowRight")
    assert before == page.evaluate(focused) and "step 1 of 3" in text_of(page)


def value_of(expression):
    """The number that a printed right side is; None where it holds symbols."""
    expression = expression.replace("·", "*")
    expression = re.sub(r"\be(-?\d+\.\d+)", r"math.exp(\1)", expression).replace("tanh ", "math.tanh")
    return eval(expression, {"math": math}) if re.fullmatch(r"(?:math\.exp|[\d.\-+*/() ]|e[+-]\d\d)+", expression) else None


@pytest.mark.parametrize("make", [article, four_examples], ids=lambda make: make.__name__)
def test_every_formula_gives_the_number_behind_it(make, visit):
    page, checked = visit(make), 0
    for view in VIEWS:
        choose(page, view)
        sides = page.evaluate("""() => [...document.querySelectorAll(".drawing [tabindex]")].map((e) => e.dataset.key).flatMap((key) => {
          document.querySelector(`[data-key="${key}"][tabindex]`).dispatchEvent(new MouseEvent("pointerover", { bubbles: true }));
          return [...document.querySelectorAll(".equation > span:nth-child(even)")].map((side) => side.innerText);
        })""")
        for side in sides:
            values = [value_of(part) for part in side.replace("−", "-").split(" = ")]
            numbers = [value for value in values if value is not None]
            assert all(abs(value - numbers[-1]) < 2e-5 for value in numbers), side
            checked += len(numbers) > 1
    assert checked > 20


@pytest.mark.parametrize("make", [article, four_examples, digits, wide, hostile], ids=lambda make: make.__name__)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_never_scrolls_sideways(make, width, visit):
    page = visit(make, width)
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    for view in VIEWS if page.query_selector("#network") else [None]:
        if view:
            choose(page, view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("make", [article, four_examples], ids=lambda make: make.__name__)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_no_label_covers_another_and_none_is_cut(make, width, visit):
    page = visit(make, width)
    for view in VIEWS:
        choose(page, view)
        labels, units = page.evaluate("""() => {
          const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
          const drawing = document.querySelector(".drawing");
          return [[...drawing.querySelectorAll(".label rect")].map(box),
            [...drawing.querySelectorAll(".unit")].map((u) => [box(u.firstElementChild), [...u.querySelectorAll("text")].map(box)])];
        }""")
        for i, label in enumerate(labels):
            assert all(are_apart(label, other) for other in labels[:i])
            assert all(are_apart(label, circle) or corner_apart(label, circle) for circle, _ in units)
        for (left, top, right, bottom), texts in units:
            for a, b, c, d in texts:
                assert left <= a and c <= right and top <= b and d <= bottom
        assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('.drawing'))")


def are_apart(one, other):
    return min(one[2], other[2]) <= max(one[0], other[0]) or min(one[3], other[3]) <= max(one[1], other[1])


def corner_apart(label, unit):
    """Whether a label in the corner of a unit's box is still outside its circle."""
    x, y, r = (unit[0] + unit[2]) / 2, (unit[1] + unit[3]) / 2, (unit[2] - unit[0]) / 2
    return math.hypot(max(label[0] - x, x - label[2], 0), max(label[1] - y, y - label[3], 0)) >= r


def brightness(page, selector, what):
    colours = re.findall(r"[\d.]+", page.eval_on_selector(selector, f"e => getComputedStyle(e).{what}"))
    return sum(map(float, colours[:3])) / 3


def test_dark_mode_is_light_on_dark(visit):
    light, dark = (visit(article, scheme=scheme) for scheme in ("light", "dark"))
    assert brightness(light, "html", "backgroundColor") > 240 > 60 > brightness(light, "html", "color")
    assert brightness(dark, "html", "backgroundColor") < 40 < 200 < brightness(dark, "html", "color")
    assert brightness(dark, ".drawing text", "fill") > 150


def test_a_large_model_shows_its_modules_and_no_drawing(visit, pages):
    page, modules = visit(digits), pages(digits)[0].modules
    assert page.query_selector("#network") is None and page.query_selector(".drawing") is None
    shown = text_of(page, "#modules")
    for row in modules:
        assert all(cell in shown for cell in row.values() if cell != "-")
    assert "B" in modules[0]["saved, hand"] and page.locator("#modules .gauge i").count() >= 3 * len(modules)
    assert not page.is_visible("#forward table") and not page.is_visible("#backward table")
    page.click("#forward summary")
    page.wait_for_selector("#forward table", state="visible")
    assert "conv1" in text_of(page, "#forward")


def test_among_many_edges_only_those_of_the_chosen_unit_are_labelled(visit):
    page = visit(wide)
    page.hover("[data-key='unit 1 3']")
    labels = page.eval_on_selector_all(".label", "all => all.map((l) => l.dataset.key)")
    assert {label for label in labels if label.startswith("edge 0")} == {f"edge 0 3 {i}" for i in range(12)}


def test_hostile_names_are_text(visit):
    page = visit(hostile)
    assert page.query_selector("img") is None and page.title() == f"Back-propagation of {HOSTILE}"
    assert text_of(page, "h1") == f"Back-propagation of {HOSTILE}"
    for part in ("#forward", "#update", "#modules"):
        assert HOSTILE in text_of(page, part)
    assert HOSTILE in page.text_content("#network")


def test_numbers_that_are_not_finite_are_shown_as_such(visit):
    page = visit(article_with_nan)
    assert "NaN" in drawn(page) and "-∞" in drawn(page) and "nan" in text_of(page, "#forward")
    for view in VIEWS:
        choose(page, view)
        for where in ("unit 1 0", "edge 0 0 0"):
            page.locator(f"[data-key='{where}']").last.hover()
            assert "NaN" in text_of(page, ".panel")
    page.click("#next")
    assert loss_shown(page) == "nan"
