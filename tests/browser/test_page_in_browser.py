"""What a reader of ``report.html`` has: from disk, alone, by mouse or keyboard, wide or narrow, light or dark."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

Open = Callable[..., Any]

ROWS = ".cases > tbody:not([hidden])"
CONTRAST = Path(__file__).with_name("contrast.js")
KINDS = ("severity", "pareto", "reliability", "roc", "risk", "spectra")


def draw_all(page: Any) -> None:
    """Scroll through the page until every chart that is shown has been drawn."""
    for kind in KINDS:
        page.locator(f"#{kind}").scroll_into_view_if_needed()
        page.wait_for_function(
            "kind => [...document.querySelector('#' + kind).parentElement.querySelectorAll('.chart:not([hidden])')]"
            ".every(f => f.dataset.drawn || !f.scrollIntoView({block: 'center'}) && f.dataset.drawn)",
            arg=kind,
            timeout=20_000,
        )


def accounts(page: Any) -> list[str]:
    return page.locator(f"{ROWS} .opener").all_inner_texts()


def test_it_opens_from_disk_without_a_message_or_a_request(open_page: Open) -> None:
    opened = open_page()
    draw_all(opened.page)
    assert opened.told == []
    assert [address for address in opened.asked if not address.startswith(("data:", "blob:"))] == []


def test_every_kind_of_chart_is_drawn_with_a_description_and_its_data(open_page: Open) -> None:
    page = open_page().page
    draw_all(page)
    for kind in KINDS:
        chart = page.locator(f"section:has(> #{kind}) .chart").first
        assert chart.locator("canvas").evaluate("c => c.width * c.height") > 10_000
        blank = "c => !c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v)"
        assert not chart.locator("canvas").evaluate(blank)
        assert len(chart.locator(".plot").get_attribute("aria-label")) > 30
        chart.locator("summary").click()
        expect(chart.locator(".data tbody tr").nth(3)).to_be_attached()
        assert chart.locator(".data caption").count() == 1


def test_one_second_is_enough_until_it_answers(open_page: Open) -> None:
    page = open_page().page
    started = page.evaluate("performance.getEntriesByName('interactive')[0].startTime")
    assert started < 1000
    took = page.evaluate(
        "() => { const t = performance.now(); const s = document.querySelector('[name=recipe]');"
        "s.selectedIndex = 1; s.dispatchEvent(new Event('input', {bubbles: true}));"
        "document.body.offsetHeight; return performance.now() - t; }"
    )
    assert took < 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 768, 1440])
def test_nothing_sticks_out_to_the_side(open_page: Open, width: int, scheme: str) -> None:
    page = open_page(width=width, color_scheme=scheme).page
    draw_all(page)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate("document.querySelectorAll('.opener').forEach(b => b.click())")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_names_stay_text(open_page: Open) -> None:
    opened = open_page()
    draw_all(opened.page)
    page = opened.page
    page.locator(".opener").first.click()
    page.locator(".data summary").first.click()
    expect(page.locator("img:not([src^='data:'])")).to_have_count(0)
    expect(page.locator("[onerror]")).to_have_count(0)
    assert page.get_by_text("<img src=x onerror=alert(1)>").count() > 5
    assert opened.told == []


def test_filters_narrow_cases_charts_and_pictures_together(open_page: Open) -> None:
    page = open_page().page
    everything = page.locator(ROWS).count()
    page.select_option("[name=recipe]", "w4a8-minmax")
    assert page.locator(ROWS).evaluate_all("rows => rows.every(r => r.dataset.recipe === 'w4a8-minmax')")
    assert 0 < page.locator(ROWS).count() < everything
    assert page.locator("#count").inner_text() == f"{page.locator(ROWS).count()} of {everything} cases"
    expect(page.locator("section:has(> #roc) .chart:not([hidden])")).to_have_count(1)
    assert page.locator(".flips:not([hidden])").evaluate_all("g => g.every(x => x.dataset.recipe === 'w4a8-minmax')")
    page.select_option("[name=task]", "noise/*")
    expect(page.locator(ROWS)).to_have_count(3)
    page.select_option("[name=claim]", "accuracy")
    expect(page.locator(ROWS)).to_have_count(0)
    expect(page.locator("section:has(> #roc) .none")).to_be_visible()
    page.locator("#filters button[type=reset]").click()
    expect(page.locator(ROWS)).to_have_count(everything)


def test_verdicts_and_words_can_be_searched_for(open_page: Open) -> None:
    page = open_page().page
    page.check("[name=outcome][value=error]")
    assert accounts(page) == ["▸ likelihood"]
    page.check("[name=outcome][value=broken]")
    outcomes = set(page.locator(ROWS).evaluate_all("rows => rows.map(r => r.dataset.outcome)"))
    assert outcomes == {"error", "broken"}
    page.locator("#filters button[type=reset]").click()
    page.fill("[name=text]", "AUROC w4a4")
    expect(page.locator(ROWS)).to_have_count(1)


def test_a_filter_is_kept_in_the_address(open_page: Open) -> None:
    page = open_page().page
    page.select_option("[name=recipe]", "w4a4-minmax")
    page.check("[name=outcome][value=broken]")
    fragment = page.evaluate("location.hash")
    again = open_page(fragment=fragment).page
    assert accounts(again) == accounts(page)
    assert again.input_value("[name=recipe]") == "w4a4-minmax"


def test_a_cell_of_the_overview_leads_to_its_cases(open_page: Open) -> None:
    page = open_page().page
    page.locator(".matrix button[data-claim=noise_accuracy][data-recipe=w4a4-minmax]").click()
    expect(page.locator(ROWS)).to_have_count(3)
    expect(page.locator("#cases")).to_be_visible()


def test_columns_sort_both_ways_and_say_so(open_page: Open) -> None:
    page = open_page().page
    harm = page.locator("[data-key=harm]")
    values = "rows => rows.map(r => Number(r.dataset.harm))"
    harm.click()
    assert page.locator("th:has([data-key=harm])").get_attribute("aria-sort") == "ascending"
    rising = page.locator(".cases > tbody").evaluate_all(values)
    assert rising[:-1] == sorted(rising[:-1])
    harm.click()
    assert page.locator("th:has([data-key=harm])").get_attribute("aria-sort") == "descending"
    expect(page.locator("th[aria-sort]:not([aria-sort=none])")).to_have_count(1)
    falling = page.locator(".cases > tbody").evaluate_all("rows => rows.map(r => r.dataset.harm)")
    assert falling[-1] == "inf", "a case without a figure comes last either way"
    page.locator("[data-key=task]").click()
    tasks = page.locator(".cases > tbody").evaluate_all("rows => rows.map(r => r.dataset.task)")
    assert tasks == sorted(tasks)


def test_everything_can_be_done_by_keyboard(open_page: Open) -> None:
    page = open_page().page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#cases"
    page.focus(".opener")
    page.keyboard.press("Enter")
    opener = page.locator(".opener").first
    assert opener.get_attribute("aria-expanded") == "true"
    expect(page.locator(".more:not([hidden])")).to_have_count(1)
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.focus("[data-key=used]")
    page.keyboard.press("Space")
    assert page.locator("th:has([data-key=used])").get_attribute("aria-sort") == "ascending"
    page.focus("section:has(> #severity) .data summary")
    page.keyboard.press("Enter")
    expect(page.locator("section:has(> #severity) .data table").first).to_be_visible()


def test_a_screen_reader_finds_headings_captions_and_names(open_page: Open) -> None:
    page = open_page().page
    expect(page.locator("h1")).to_have_count(1)
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(h => Number(h.tagName[1]))")
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
    expect(page.locator("table:not(:has(> caption))")).to_have_count(0)
    expect(page.locator("img:not([alt])")).to_have_count(0)
    nameless = "all => all.filter(e => !(e.innerText.trim() || e.labels?.length || e.ariaLabel)).length"
    assert page.locator("button, select, input, summary").evaluate_all(nameless) == 0
    assert page.locator("[id]").evaluate_all("all => new Set(all.map(e => e.id)).size === all.length")
    assert page.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_it_stands_on(open_page: Open, scheme: str) -> None:
    page = open_page(color_scheme=scheme).page
    assert page.evaluate(CONTRAST.read_text()) == []


def test_colours_follow_the_reader_and_charts_follow_the_page(open_page: Open) -> None:
    page = open_page(color_scheme="light").page
    draw_all(page)
    ground = "getComputedStyle(document.body).backgroundColor"
    light, picture = page.evaluate(ground), page.locator("canvas").first.evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(ground) != light
    page.wait_for_function("before => document.querySelector('canvas').toDataURL() !== before", arg=picture)


@pytest.mark.parametrize(("scheme", "turned"), [("light", "none"), ("dark", "invert(1) hue-rotate(180deg)")])
def test_paper_is_white_and_charts_are_turned_for_it(open_page: Open, scheme: str, turned: str) -> None:
    page = open_page(color_scheme=scheme).page
    ink = "getComputedStyle(document.documentElement).getPropertyValue('--ink')"
    on_screen = page.evaluate(ink)
    page.emulate_media(media="print", color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(ink) == on_screen, "a chart drawn while printing looks like one drawn before"
    draw_all(page)
    filters = page.locator("canvas").evaluate_all("all => [...new Set(all.map(c => getComputedStyle(c).filter))]")
    assert filters == [turned]


def test_it_prints_with_every_chart_that_is_shown(open_page: Open) -> None:
    page = open_page().page
    assert len(page.pdf()) > 50_000
    expect(page.locator(".chart:not([hidden]):not([data-drawn])")).to_have_count(0)


def test_without_scripts_every_figure_can_still_be_read(open_page: Open) -> None:
    page = open_page(java_script_enabled=False).page
    expect(page.locator(".cases > tbody")).to_have_count(37)
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.get_by_text("need JavaScript")).to_be_visible()
