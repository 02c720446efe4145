"""Draw the pictures of the README anew, into docs/pictures: `python docs/draw.py`, with what the tests need and a Chromium on the path."""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT))


def explain_page(file):
    """The worked example's network in the backward view, as the page shows it."""
    import jax
    from playwright.sync_api import sync_playwright

    import bpjax
    from examples import worked_example

    with jax.enable_x64(True), tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        explanation = bpjax.explain(worked_example.loss, *worked_example.example_args(), has_aux=True, learning_rate=1.0, steps=12)
        page = explanation.save(Path(folder) / "explain.html")
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        window = browser.new_page(viewport={"width": 1100, "height": 900})
        window.goto(page.as_uri())
        window.get_by_text("backward", exact=True).first.click()
        window.screenshot(path=file)
        browser.close()


def main():
    from examples import exploding, looking, overfitting, vanishing

    explain_page(PICTURES / "explain.png")
    looking.main(PICTURES / "looking.png")
    results = vanishing.compare()
    vanishing.draw(results, PICTURES / "vanishing.png")
    next(iter(results.values())).monitor.draw(PICTURES / "health.png")
    exploding.main(PICTURES / "exploding.png")
    overfitting.main(PICTURES / "overfitting.png")


if __name__ == "__main__":
    main()
