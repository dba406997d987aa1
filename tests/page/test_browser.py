"""The page in a real browser: what a reader does with it."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import page
from bench.reporting.significance import LEVEL
from bench.results import Results

Tab = Any  # a playwright page; where types are checked playwright is not installed
HOSTILE = "<img src=x onerror='window.pwned=1'>"


def column(tab: Tab, index: int, body: int = 1) -> list[str]:
    cells = tab.locator(f".results tbody:nth-of-type({body}) tr td:nth-child({index + 2}) .value")
    return [text for text in cells.all_inner_texts() if text.startswith(".")]


def rows(tab: Tab) -> list[str]:
    return [str(name) for name in tab.locator(".results tbody:first-of-type th .name").all_inner_texts()]


def test_every_number_is_that_of_the_table(tab: Tab, results: Results) -> None:
    shown = tab.evaluate(
        """() => section().protocols.flatMap((p, i) => { state.protocol = i; return columns().flatMap((c) =>
        Object.keys(p.methods).map((m) => number(m, c)).filter((n) => n && n.mean !== null).map((n) =>
        [p.spec.database, n.method, c.dataset, c.direction, c.bits, short(n.mean), short(n.sd)])); })"""
    )
    expected = [
        [
            *(row[name] for name in ("database", "method", "dataset", "direction", "bits")),
            f"{row['value']:.3f}".removeprefix("0"),
            "–" if row["sd"] is None else f"{row['sd']:.3f}".removeprefix("0"),
        ]
        for row in results.table().data
        if row["value"] is not None
    ]
    assert sorted(map(str, shown)) == sorted(map(str, expected))


def test_what_cannot_be_told_from_the_best_is_marked_as_in_the_report(tab: Tab, results: Results) -> None:
    shown = tab.evaluate(
        """() => section().protocols.flatMap((p, i) => { state.protocol = i; return columns().flatMap((c) =>
        Object.keys(p.methods).map((m) => number(m, c)).filter((n) => n && alike(n)).map((n) =>
        [p.spec.database, n.method, c.dataset, c.direction, c.bits])); })"""
    )
    tested = results.table(significance=True)
    expected = [
        [row[name] for name in ("database", "method", "dataset", "direction", "bits")]
        for row in tested.data
        if row["p_against_best"] is not None and row["p_against_best"] >= LEVEL
    ]
    assert sorted(map(str, shown)) == sorted(map(str, expected)) and shown
    assert tab.locator(".results .number", has_text="≈").count() == str(tested.blocks[0].rows).count("≈")
    assert "≈ not significantly different" in tab.locator("#definition").inner_text()


def test_a_heading_sorts_down_then_up_and_references_stay_below(tab: Tab) -> None:
    heading = tab.locator(".results thead tr:nth-child(2) th").first
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    down = column(tab, 0)
    assert down == sorted(down, reverse=True) and len(down) == 2
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(tab, 0) == down[::-1]
    assert column(tab, 0, body=2)[0] > max(down)  # float_features, which is no rival


def test_what_is_typed_filters_methods(tab: Tab) -> None:
    tab.locator("#search").fill("HALV")
    assert rows(tab) == ["halves"]
    tab.locator("#search").fill("")
    assert len(rows(tab)) == 4


def test_a_chip_takes_columns_away_and_back(tab: Tab) -> None:
    before = tab.locator(".results thead tr:nth-child(2) th").count()
    chip = tab.locator("[data-facet=bits]").first
    chip.click()
    assert tab.locator(".results thead tr:nth-child(2) th").count() == before // 2
    assert chip.get_attribute("aria-pressed") == "false"
    chip.click()
    assert tab.locator(".results thead tr:nth-child(2) th").count() == before


def test_another_metric_changes_the_numbers(tab: Tab) -> None:
    before = column(tab, 0)
    curve = tab.locator("#chart .line").first.get_attribute("d")
    tab.locator("#metric").select_option(label="P@radius≤2")
    assert column(tab, 0) != before
    assert tab.locator("#chart .line").first.get_attribute("d") != curve
    assert "within a Hamming radius" in tab.locator("#definition").inner_text()


def test_another_protocol_has_a_table_of_its_own(tab: Tab) -> None:
    tab.locator("#protocol-select").select_option(index=1)
    assert rows(tab) == ["halves"]
    assert "frozen" in tab.locator("#protocol-line").inner_text()


def test_a_failed_cell_stands_in_its_place_with_its_reason(tab: Tab) -> None:
    numbers = tab.locator("tr", has=tab.get_by_text("breaks", exact=True)).locator(".number")
    assert set(numbers.all_inner_texts()) == {"failed", "failed§"}  # one of them is stale as well
    numbers.first.click()
    assert "failed: round 1: RuntimeError: no more" in tab.locator("#panel-body").inner_text()


def test_pointing_at_a_number_tells_its_protocol_in_short(tab: Tab) -> None:
    tab.locator("tr", has=tab.get_by_text("halves", exact=True)).locator(".number").first.hover()
    text = tab.locator("#tip").inner_text()
    for part in ("halves", "over 3 seeds", "orders of ties", "chance", "reindexed", "shuffled:"):
        assert part in text


def test_a_click_tells_where_a_number_comes_from(tab: Tab, results: Results) -> None:
    number = tab.locator("tr", has=tab.get_by_text("halves", exact=True)).locator(".number").first
    number.click()
    text = tab.locator("#panel-body").inner_text()
    (record, *_) = (
        r
        for r in results.records
        if r.spec.label == "halves"
        and (r.spec.dataset, r.spec.bits, r.spec.database) == ("pictures", 8, "reindexed")
    )
    numpy = f"numpy {record.environment['numpy']}"
    wanted = (record.spec.key, record.code, record.data, numpy, "textbook", "--schedule shuffled:20", "seed")
    for part in (*wanted, "expected over all orders", "after every round the current hash functions"):
        assert part in text
    tab.keyboard.press("Escape")
    assert not tab.locator("#panel").is_visible()
    assert tab.evaluate("document.activeElement.className") == "number"


def test_curves_change_with_kind_bits_direction_and_method(tab: Tab) -> None:
    def drawn() -> list[str]:
        return [
            str(d)
            for d in tab.eval_on_selector_all("#chart .line", "all => all.map(e => e.getAttribute('d'))")
        ]

    seen = [drawn()]
    assert len(seen[0]) == 3  # breaks has no curve
    for kind in ("mAP by round", "PR by rank", "P@N", "recall@N", "PR by radius"):
        tab.get_by_role("radio", name=kind).click()
        seen.append(drawn())
    assert len({tuple(paths) for paths in seen}) == len(seen)
    tab.locator("#curve-bits").select_option("8")
    seen.append(drawn())
    tab.locator("#curve-direction").select_option("t2i")
    seen.append(drawn())
    assert seen[-3] != seen[-2] != seen[-1]
    tab.locator("#legend").get_by_role("button", name="halves").click()
    assert len(drawn()) == len(seen[-1]) - 1


def test_a_curve_is_what_the_histograms_say(tab: Tab, results: Results) -> None:
    tab.get_by_role("radio", name="P@N").click()
    tab.locator("#curve-dataset").select_option("tiny")
    tab.locator("#curve-bits").select_option("16")
    tab.locator("#chart-numbers summary").click()
    row = tab.locator("#chart-numbers tr", has_text="halves").filter(has_text="the first 10").first
    shown = float("0" + row.locator("td").nth(1).inner_text())
    from bench import metrics
    from bench.scoring import hamming

    values = []
    for record in results.records:
        spec = record.spec
        if (spec.label, spec.dataset, spec.bits, spec.database) == ("halves", "tiny", 16, "reindexed"):
            counts = results.evidence(record)[f"i2t/{record.rounds[-1].round}/counts"]
            values.append(metrics.mean("precision@10", hamming.Histograms(counts)))
    assert shown == pytest.approx(sum(values) / len(values), abs=0.0011)


def test_arrow_keys_read_a_chart_and_enter_tells_where_the_point_comes_from(tab: Tab) -> None:
    tab.locator("#chart svg").focus()
    tab.keyboard.press("ArrowRight")
    first = tab.locator("#tip").inner_text()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#tip").inner_text() != first
    tab.keyboard.press("Enter")
    assert tab.locator("#panel").is_visible()


def test_the_viewer_shows_pictures_for_texts_and_texts_for_pictures(tab: Tab) -> None:
    viewer = tab.locator("#viewer")
    viewer.get_by_label("Dataset").select_option("pictures")
    viewer.get_by_role("radio", name="T→I").click()
    assert viewer.locator(".card img").count() > 5
    assert viewer.locator(".asked .text").first.inner_text().startswith("a ")
    widths = viewer.locator(".card img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert set(widths) == {40}
    viewer.get_by_role("radio", name="I→T").click()
    assert viewer.locator(".card img").count() == 0
    assert viewer.locator(".asked img").count() == 1


def test_relevant_results_share_a_label_and_ties_say_how_many_they_are(tab: Tab) -> None:
    tab.locator("#viewer").get_by_label("Dataset").select_option("tiny")
    groups = tab.locator("#viewer .tie")
    for group in groups.all():
        text = group.locator(".distance").inner_text()
        assert re.match(r"distance \d+ (one item|\d+ tied), \d+ relevant", text)
    for card in tab.locator("#viewer .card").all():
        asked = tab.locator("#viewer .asked .labels").inner_text()
        assert ("✓" in card.inner_text()) == (card.locator(".labels").inner_text() == asked)


def test_the_groups_of_the_viewer_are_the_stored_histogram(tab: Tab, results: Results) -> None:
    found = tab.evaluate("DATA.retrieval.tiny.runs.map((r) => [r.key, r.found])")
    records = {r.spec.key: r for r in results.records}
    assert found
    for key, queries in found:
        last = records[key].rounds[-1].round
        for query, directions in queries.items():
            for direction, groups in directions.items():
                counts = results.evidence(records[key])[f"{direction}/{last}/counts"][int(query)]
                for distance, items, relevant, _ in groups:
                    assert counts[distance].tolist() == [items, relevant]


def test_arrow_keys_change_the_query_and_two_methods_stand_side_by_side(tab: Tab) -> None:
    viewer = tab.locator("#viewer")
    viewer.locator(".strip [aria-checked=true]").focus()
    tab.keyboard.press("ArrowRight")
    assert viewer.locator(".strip button").nth(1).get_attribute("aria-checked") == "true"
    assert "halves" not in viewer.get_by_label("Beside").locator("option").all_inner_texts()
    viewer.get_by_label("Beside").select_option("random_projection")
    assert viewer.locator(".found").count() == 2
    viewer.get_by_label("Method").select_option("random_projection")
    assert viewer.locator(".found").count() == 1


def test_a_broken_picture_is_told_and_not_shown(tab: Tab) -> None:
    broken = tab.evaluate(
        "Object.values(DATA.retrieval.pictures.items).filter((i) => i.broken).map((i) => i.broken)"
    )
    assert set(broken) == {"3.jpg is broken <script>window.pwned=1</script>"}


def test_downloads_hold_what_the_table_and_the_chart_show(tab: Tab, results: Results, tmp_path: Path) -> None:
    def saved(within: str, name: str) -> str:
        with tab.expect_download() as found:
            tab.locator(within).get_by_role("button", name=name).first.click()
        target = tmp_path / str(found.value.suggested_filename)
        found.value.save_as(target)
        return target.read_text(encoding="utf-8", errors="replace")

    assert saved("#downloads", "CSV") == results.table(significance=True).to_csv()
    assert saved("#downloads", "LaTeX") == results.printed("map_table", significance=True).to_latex()
    tab.locator("#downloads summary").click()
    assert saved("#downloads", "figures-bits").startswith("%PDF")
    assert saved("#chart-downloads", "SVG").startswith("<svg")
    lines = list(csv.DictReader(saved("#chart-downloads", "CSV").splitlines()))
    assert {line["method"] for line in lines} == {"halves", "random_projection", "float_features"}


def test_nothing_stored_is_run_as_code(tab: Tab) -> None:
    tab.locator("#viewer").get_by_label("Dataset").select_option("pictures")
    tab.get_by_role("button", name="failed").last.click()
    assert HOSTILE in tab.locator("#panel-body").inner_text()
    assert HOSTILE in tab.locator("#table").inner_text()
    assert HOSTILE in tab.locator("#viewer").inner_text()
    assert "</script>" in tab.locator("#viewer").inner_text()
    assert tab.evaluate("window.pwned") is None


def test_the_policy_lets_nothing_in_and_nothing_out(browser: Any, page_file: Path) -> None:
    tab = browser.new_page()
    tab.goto(page_file.as_uri())
    tab.wait_for_selector("#main:not([hidden])")
    attempts = """async () => {
        const blocked = [];
        document.addEventListener("securitypolicyviolation", (e) => blocked.push(e.effectiveDirective));
        await fetch("http://127.0.0.1:9/").catch(() => null);
        const outside = "http://127.0.0.1:9/";
        document.body.append(el("img", { src: outside }), el("script", null, "window.pwned = 1"),
            el("style", null, "body { color: red }"), el("iframe", { src: outside }));
        await new Promise((done) => setTimeout(done, 200));
        return [blocked.sort(), window.pwned === undefined];
    }"""
    blocked, unharmed = tab.evaluate(attempts)
    tab.close()
    assert blocked == ["connect-src", "frame-src", "img-src", "script-src-elem", "style-src-elem"]
    assert unharmed


def test_a_keyboard_alone_sorts_reads_and_opens(tab: Tab) -> None:
    def focused() -> str:
        return str(tab.evaluate("document.activeElement.dataset.sort || document.activeElement.className"))

    for _ in range(40):
        tab.keyboard.press("Tab")
        if focused() == "method":
            break
    tab.keyboard.press("Enter")
    assert tab.locator("th[aria-sort=ascending]").inner_text().startswith("method")
    for _ in range(40):
        tab.keyboard.press("Tab")
        if focused().startswith("number"):
            break
    at = "[document.activeElement.closest('tr').rowIndex, document.activeElement.closest('td').cellIndex]"
    row, cell = tab.evaluate(at)
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowDown")
    down, right = tab.evaluate(at)
    assert down == row + 1 and right > cell  # a column without a number is passed over
    assert tab.locator("#tip").is_visible()
    tab.keyboard.press("Enter")
    assert tab.locator("#panel").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system_and_the_button_turns_it(
    visit: Callable[..., Any], page_file: Path, scheme: str
) -> None:
    tab = visit(page_file.as_uri(), color_scheme=scheme)
    light = "parseInt(getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0]) > 128"
    assert tab.evaluate(light) == (scheme == "light")
    tab.locator("#theme").click()
    assert tab.evaluate(light) == (scheme == "dark")


def test_a_phone_scrolls_the_table_and_not_the_page(visit: Callable[..., Any], page_file: Path) -> None:
    tab = visit(page_file.as_uri(), viewport={"width": 375, "height": 800}, has_touch=True, is_mobile=True)
    tab.wait_for_selector("#main:not([hidden])")
    assert tab.evaluate("document.documentElement.scrollWidth") == 375
    assert tab.evaluate(
        "(() => { const t = document.getElementById('table'); return t.scrollWidth > t.clientWidth; })()"
    )
    tab.locator(".number").first.click()
    assert tab.locator("#panel").bounding_box()["width"] == pytest.approx(375)


def sectioned(results: Results, out: Path) -> Path:
    """A page of two sections that share cells: all but the references, and the code length of 8 alone."""
    parts = {
        "All": Results([r for r in results.records if not r.reference], arrays=results.evidence),
        f"Short {HOSTILE}": Results(
            [r for r in results.records if r.spec.bits == 8], arrays=results.evidence
        ),
        "Nothing stored": Results([]),
    }
    page.write(results, out, data_root=out.parent, title=f"A study {HOSTILE}", sections=parts)
    return out


def test_a_section_shows_its_own_records_as_its_report_does(
    visit: Callable[..., Any], results: Results, tmp_path: Path
) -> None:
    tab = visit(sectioned(results, tmp_path / "out.html").as_uri())
    tab.wait_for_selector("#main:not([hidden])")
    options = tab.locator("#section-select option").all_inner_texts()
    assert options == ["All", f"Short {HOSTILE}"]
    assert "float_features" not in tab.locator("#table").inner_text()
    tab.locator("#protocol-select").select_option(index=1)
    tab.locator("#metric").select_option(label="P@radius≤2")
    tab.locator("#section-select").focus()
    tab.keyboard.press("ArrowDown")
    assert tab.locator("#metric option:checked").inner_text() == "P@radius≤2"
    assert tab.locator("#protocol-select option:checked").inner_text().startswith("reindexed")
    assert "float_features" in tab.locator("#table").inner_text()
    assert set(tab.locator(".results thead tr:nth-child(2) th").all_inner_texts()) == {"8 bits"}
    assert "16" not in tab.locator("#chart").inner_text()
    with tab.expect_download() as found:
        tab.locator("#downloads").get_by_role("button", name="CSV").click()
    shown = csv.DictReader(Path(found.value.path()).read_text(encoding="utf-8").splitlines())
    assert {row["bits"] for row in shown} == {"8"}


def test_the_title_of_a_study_and_of_its_sections_are_text(
    visit: Callable[..., Any], results: Results, tmp_path: Path
) -> None:
    tab = visit(sectioned(results, tmp_path / "out.html").as_uri())
    tab.wait_for_selector("#main:not([hidden])")
    assert tab.locator("h1").inner_text() == f"A study {HOSTILE}"
    assert tab.title() == f"A study {HOSTILE} · hashbench"
    assert tab.evaluate("window.pwned") is None


def test_a_long_label_can_be_read_to_its_end(
    visit: Callable[..., Any], results: Results, tmp_path: Path
) -> None:
    """Variants differ in their last letters, also on a phone."""
    [first, *_] = [r for r in results.records if r.spec.label == "halves"]
    label = "halves[lambda1=0.1,lambda2=0.1,alpha=0.3,beta=0.5,gamma=0.7,rounds=100]"
    long = Results([replace(first, spec=replace(first.spec, method=label))])
    page.write(long, tmp_path / "out.html", data_root=tmp_path)
    tab = visit((tmp_path / "out.html").as_uri(), viewport={"width": 375, "height": 800})
    tab.wait_for_selector("#main:not([hidden])")
    assert tab.locator(".results th .name").inner_text().replace("\n", "") == label
    assert tab.locator(".results th .label").evaluate(
        "n => n.scrollWidth <= n.clientWidth && n.clientWidth < 200"
    )
    assert tab.locator("#legend .key").first.evaluate("n => n.scrollWidth <= n.clientWidth")


def test_a_page_of_failed_cells_shows_why(
    visit: Callable[..., Any], results: Results, tmp_path: Path
) -> None:
    failed = Results([r for r in results.records if r.status == "failed"])
    page.write(failed, tmp_path / "failed.html", data_root=tmp_path)
    tab = visit((tmp_path / "failed.html").as_uri())
    tab.wait_for_selector("#main:not([hidden])")
    assert set(tab.locator(".number").all_inner_texts()) == {"failed"}
    assert "No result for this choice" in tab.locator("#chart").inner_text()
    assert "to read the codes from" in tab.locator("#viewer").inner_text()
