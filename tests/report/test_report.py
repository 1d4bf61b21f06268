"""The report: complete, by itself, right in its differences, and without errors in a browser."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from leapai.evaluation.metric_types import Better, Metric
from leapai.report.metric_cells import MINUS, NOTHING, MetricValue
from leapai.report.page import write_report
from leapai.report.run_view import view
from leapai.report.svg_charts import ticks
from leapai.report.timeline_rows import chosen_rows
from leapai.runs.profiler import WHOLE_STEP
from tests.evaluation.map import roads
from tests.made_up_runs import made_up_drive, made_up_run, write

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is absent")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write(tmp_path_factory.mktemp("runs") / "one", made_up_run())


@pytest.fixture(scope="module")
def worse(tmp_path_factory):
    """The same drives, but every detection is off by 0.4 m, and one setting differs."""
    drives = [made_up_drive(0), made_up_drive(1)]
    for drive in drives:
        drive.detections = [
            replace(each, boxes=each.boxes + np.eye(7)[0] * 0.4) for each in drive.detections
        ]
    worse = made_up_run(drives)
    config = worse.config.model_copy(update={"max_gap_s": 1.5})
    return write(tmp_path_factory.mktemp("runs") / "two", replace(worse, config=config))


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """The same drives, and predicted maps of some others."""
    road = roads.metrics(*roads.random_frames(0))
    return write(tmp_path_factory.mktemp("runs") / "mapped", made_up_run(road=road))


def report_of(path, *folders):
    write_report(path / "report.html", folders)
    return (path / "report.html").read_text()


def words_of(page):
    """The text of a page, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_it_has_every_figure_and_every_part(tmp_path, run):
    page = report_of(tmp_path, run)
    words, metrics = words_of(page), view(run).run.metrics
    for value in (
        metrics.detection.mean_ap,
        metrics.detection.nds,
        metrics.tracking.amota,
        metrics.consistency.consistency,
        metrics.detection.classes["bus"].mean_ap,
        metrics.detection.distance_bands["12-24 m"].position_error_m,
        metrics.detection.occlusion["PartlyOccluded"].recall,
        metrics.detection.hidden.recall,
    ):
        assert (f"{value:.3f}" if value is not None else NOTHING) in words
    for heading in (
        "Classes", "Precision over recall", "Distance", "Groups and occlusion", "Velocity",
        "Tracks and consistency", "Drives over time", "Worst frames", "Time and memory",
        "Versions", "Configuration", "Heading by angle bin", "mean or all", "Operating point:",
        "lidar failed in 2 of 24 frames", "drive0", "drive1",
    ):  # fmt: skip
        assert heading in words
    assert page.count("data:image/webp;base64,") == 2
    assert page.count('class="timeline"') == 2
    assert page.count('class="chart"') == 8 + 4 + 2


def test_it_needs_nothing_but_itself(tmp_path, run, worse):
    page = report_of(tmp_path, run, worse)
    assert not re.search(r"https?://|@import|url\(", page)
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)


def test_it_is_the_same_whenever_it_is_made(tmp_path, run):
    assert report_of(tmp_path, run) == report_of(tmp_path, run)


def test_words_from_outside_cannot_become_tags(tmp_path):
    hostile = "<script>alert(1)</script>"
    drive = made_up_drive(0)
    drive.faults[0] = (f"lidar: {hostile}",)
    folder = write(tmp_path / "run", made_up_run([drive], job_name=hostile, data=hostile))
    page = report_of(tmp_path, folder)
    assert hostile not in page
    assert page.count("&lt;script&gt;") >= 3


def test_two_runs_stand_side_by_side_with_signed_differences(tmp_path, run, worse):
    page = report_of(tmp_path, run, worse)
    one, other = (view(folder).run.metrics.detection for folder in (run, worse))
    tile = re.search(r"<h2>mAP</h2><p>(.*?)</p>", page).group(1)
    lost = one.mean_ap - other.mean_ap
    assert words_of(tile) == f"{one.mean_ap:.3f} {other.mean_ap:.3f} {MINUS}{lost:.3f}"
    assert 'class="difference bad"' in tile
    assert lost > 0.01
    words = words_of(page)
    assert "max_gap_s 2.0 1.5" in words
    assert str(run) in words
    assert str(worse) in words
    assert "differences are not the network's alone" not in words


def test_the_road_has_a_part_and_metrics_at_the_top(tmp_path, mapped):
    page = report_of(tmp_path, mapped)
    road, words = view(mapped).run.metrics.road, words_of(page)
    tile = re.search(r"<h2>IoU of markings</h2><p>(.*?)</p>", page).group(1)
    assert words_of(tile) == f"{road.iou.lane_markings:.3f}"
    for value in (
        road.hidden_iou.road_elements,
        road.distance_bands["5-10 m"].lane_markings,
        road.lateral_bands["2-8 m"].road_elements,
        road.classes["Curb"].best_iou,
        road.flip_rate.road_elements,
        road.flip_rate_bands["0-5 m"].road_elements,
    ):
        assert f"{value:.3f}" in words
    assert f"{road.change.lane_markings:.4f}" in words
    assert "DoubleDashedLine" not in words  # nothing of it is true


def test_roads_of_two_runs_stand_side_by_side(tmp_path, run, mapped):
    gt = np.random.default_rng(0).random(roads.SHAPE) < 0.1
    other = made_up_run(road=roads.metrics(roads.frame(gt, gt)))
    folders = mapped, write(tmp_path / "other", other)
    one, two = (view(folder).run.metrics.road.iou.lane_markings for folder in folders)
    tile = r"<h2>IoU of markings</h2><p>(.*?)</p>"
    words = words_of(re.search(tile, report_of(tmp_path, *folders)).group(1))
    assert words == f"{one:.3f} {two:.3f} +{two - one:.3f}"
    alone = words_of(re.search(tile, report_of(tmp_path, run, mapped)).group(1))
    assert alone == f"{NOTHING} {one:.3f}"  # the other run has no static task


def test_runs_that_do_not_compare_are_said(tmp_path, run):
    other = write(tmp_path / "other", made_up_run(data="something else", device="cuda:0"))
    words = words_of(report_of(tmp_path, run, other))
    assert "The runs are of different data" in words
    assert re.search(r"A ran on cpu: .*, B on cuda:0: .*: their times are not compared", words)


@pytest.mark.parametrize(
    "drives",
    [
        [made_up_drive(0, labelled=False)],
        [made_up_drive(0, frames=1)],
        [made_up_drive(0), made_up_drive(1, labelled=False)],
        [],
    ],
    ids=["no labels", "one frame", "a drive without labels", "nothing"],
)
def test_runs_with_little_in_them_have_a_report(tmp_path, run, drives):
    little = write(tmp_path / "little", made_up_run(drives))
    words = words_of(report_of(tmp_path, little))
    if not any(drive.labelled() for drive in drives):
        assert "No frame has labels" in words
    assert "Worst frames" in report_of(tmp_path, run, little)


def test_a_picture_that_was_removed_is_said(tmp_path):
    folder = write(tmp_path / "run", made_up_run())
    (folder / "worst/01.webp").unlink()
    assert "Its picture is missing in the folder." in report_of(tmp_path, folder)


def test_the_worst_frame_names_what_went_wrong(tmp_path):
    drive = made_up_drive(0)
    drive.detections[0] = drive.detections[0].select(np.zeros(0, np.int64))
    words = words_of(report_of(tmp_path, write(tmp_path / "run", made_up_run([drive]))))
    assert "16 missed, 0 false" in words
    assert re.search(r"missed \w+, \d+ m (ahead|behind|left|right)", words)
    assert "and 4 more, further away" in words


@pytest.mark.parametrize(
    ("better", "values", "text", "verdict"),
    [
        (Better.HIGHER, (0.5, 0.6), "+0.100", "good"),
        (Better.HIGHER, (0.6, 0.5), f"{MINUS}0.100", "bad"),
        (Better.LOWER, (0.6, 0.5), f"{MINUS}0.100", "good"),
        (Better.NEITHER, (0.6, 0.5), f"{MINUS}0.100", ""),
        (Better.HIGHER, (0.5, 0.5001), "", ""),
        (Better.HIGHER, (0.5, None), "", ""),
        (Better.HIGHER, (0.5,), "", ""),
    ],
)
def test_a_difference_has_a_sign_and_a_verdict(better, values, text, verdict):
    value = MetricValue(Metric("mAP", "mean_ap", better), values)
    assert (value.difference_text, value.verdict) == (text, verdict)


def test_rows_are_those_with_most_trouble_and_say_how_many_there_are(run):
    timelines = view(run).timelines
    rows, objects = chosen_rows([timelines], "drive0")
    assert len(rows) == objects == 16
    (switched,) = (row for row in rows if row.timelines[0].switched.any())
    assert switched.timelines[0].own_id == 5
    assert switched.trouble == max(row.trouble for row in rows)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (0, 60, [0, 20, 40, 60]), (-0.05, 0.5, [0, 0.2, 0.4])],
)
def test_axes_have_round_ticks(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


PROBE = """<script>
addEventListener("load", () => {
  const heads = document.querySelectorAll("#classes th[scope=col]");
  const names = () => [...document.querySelectorAll(
    "#classes table.sortable tbody tr:not(.part)")].map(
    (row) => Number(row.cells[1].dataset.value));
  heads[1].click(); const falling = names();
  heads[1].click(); const rising = names();
  document.querySelector("button.picture").click();
  const shown = document.querySelector("dialog[open] img");
  document.documentElement.dataset.probe = JSON.stringify({
    falling, rising, enlarged: shown !== null && shown.src.startsWith("data:image/webp"),
    requests: performance.getEntriesByType("resource").map((entry) => entry.name)
      .filter((name) => !name.startsWith("data:")),
    broken: [...document.images].filter((i) => i.complete && i.src && !i.naturalWidth).length,
    wide: document.documentElement.scrollWidth - innerWidth,
  });
});
</script></head>"""


PHONE_PROBE = """<script>
addEventListener("load", () => {
  const last = (table) => {
    const box = table.closest(".scroll");
    box.scrollLeft = box.scrollWidth;
    const cell = table.rows[0].cells[table.rows[0].cells.length - 1].getBoundingClientRect();
    return cell.right <= box.getBoundingClientRect().right + 1 && cell.right <= innerWidth;
  };
  const tables = [...document.querySelectorAll("table")];
  document.documentElement.dataset.probe = JSON.stringify({
    narrow: matchMedia("(max-width: 640px)").matches,
    wide: document.documentElement.scrollWidth - innerWidth,
    tables: tables.length,
    scrolling: [...document.querySelectorAll(".scroll")].filter(
      (box) => box.scrollWidth > box.clientWidth).length,
    lost: tables.filter((t) => !last(t)).map((t) => t.tHead.textContent),
  });
});
</script></head>"""


def browse(page, folder, width_px=800):
    """Loads a page in a headless browser; returns the lines of its console, and its document."""
    path = folder / "page.html"
    path.write_text(page)
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
        "--disable-background-networking --disable-component-update --enable-logging=stderr --v=0 "
        f"--user-data-dir={folder / 'profile'} --window-size={width_px},1000 --dump-dom"
    )
    ended = subprocess.run(
        [CHROMIUM, *flags.split(), path.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return re.findall(r"CONSOLE.*", ended.stderr), ended.stdout


def test_a_run_has_the_name_of_its_folder(tmp_path, run, worse):
    assert "<h1>one</h1>" in report_of(tmp_path, run)
    assert "<h1>one against two</h1>" in report_of(tmp_path, run, worse)
    twin = write(tmp_path / "one", made_up_run())
    assert f"<h1>{run} against {twin}</h1>" in report_of(tmp_path, run, twin)


def test_objects_out_of_range_are_counted_by_class(tmp_path):
    drive = made_up_drive(0)
    far = drive.labels[0].boxes + np.eye(7)[0] * 500
    drive.labels[0] = replace(drive.labels[0], boxes=far)
    folder = write(tmp_path / "far", made_up_run([drive]))
    left_out = view(folder).run.metrics.detection.left_out_and_all()
    assert left_out["all"].out_of_range >= 16
    table = words_of(report_of(tmp_path, folder)).split("Labelled objects that count nowhere")[1]
    assert table.startswith(" class out of range unseen ")
    for name in ("car", "pillar", "all"):
        assert f" {name} {left_out[name].out_of_range} {left_out[name].unseen} " in table


def timed(path, machine):
    run = made_up_run()
    stages = {WHOLE_STEP: replace(run.summary.stages[WHOLE_STEP], seconds=1.0)}
    versions = {**run.summary.versions, "machine": machine}
    summary = replace(run.summary, stages=stages, versions=versions)
    return write(path, replace(run, summary=summary))


def test_times_are_compared_on_one_machine_alone(tmp_path):
    first = write(tmp_path / "first", made_up_run())
    own = view(first).run.summary.versions["machine"]
    for name, machine, compared in (("same", own, True), ("other", "another", False)):
        page = report_of(tmp_path, first, timed(tmp_path / name, machine))
        tile = re.search(r"<h2>time a frame.*?</h2><p>(.*?)</p>", page).group(1)
        stages = page.split("Time and memory")[1].split("</table>")[0]
        assert ("difference" in tile) == ("difference good" in stages) == compared
        assert ("their times are not compared" in page) == (not compared)


def test_a_value_that_was_not_measured_is_marked_and_not_compared(tmp_path, run):
    drives = [made_up_drive(0), made_up_drive(1)]
    for drive in drives:
        drive.detections = [each.select(each.class_id != 0) for each in drive.detections]
    blind = write(tmp_path / "blind", made_up_run(drives))
    page = report_of(tmp_path, run, blind)
    row = re.search(r'scope="row">[^/]*/i>car</th>(.*?)</tr>', page, re.DOTALL).group(1)
    names = ("objects", "AP", "ATE", "ASE", "AOE", "AVE", "P", "R", "F1")
    cells = dict(zip(names, row.split("<td")[1:], strict=True))
    assert "difference bad" in cells["AP"]
    for name in ("ATE", "ASE", "AOE", "AVE"):
        assert "standin" in cells[name]
        assert "difference" not in cells[name]
    assert "standin" not in report_of(tmp_path, run).split("<main>")[1]


def test_every_colour_has_a_light_and_a_dark_value(tmp_path, mapped, worse):
    page = report_of(tmp_path, mapped, worse)
    light, dark = (
        set(re.findall(r"(--[\w-]+):", "".join(rules)))
        for rules in (
            re.findall(r"^:root \{(.*?)\}", page, re.MULTILINE | re.DOTALL),
            re.findall(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", page, re.DOTALL),
        )
    )
    used = set(re.findall(r"var\((--[\w-]+)\)", page)) - {"--share", "--tone"}
    assert len(used) > 20
    assert used <= light
    assert used <= dark
    body = page.split("<body")[1]
    assert not re.findall(r'(?:fill|stroke)="#', body)  # a fixed colour is legible on one alone


@needs_chromium
def test_on_a_phone_every_column_can_be_reached(tmp_path, mapped):
    page = report_of(tmp_path, mapped).replace("</head>", PHONE_PROBE)
    _, document = browse(page, tmp_path, width_px=500)
    probe = json.loads(unescape(re.search(r'data-probe="([^"]*)"', document).group(1)))
    assert probe["narrow"]
    assert probe["wide"] <= 0
    assert probe["tables"] > 8
    assert probe["scrolling"] > 0
    assert probe["lost"] == []


@needs_chromium
@pytest.mark.parametrize("compared", [False, True], ids=["one run", "two runs"])
def test_a_browser_shows_it_without_errors_or_requests(tmp_path, mapped, worse, compared):
    page = report_of(tmp_path, mapped, worse) if compared else report_of(tmp_path, mapped)
    console, document = browse(page.replace("</head>", PROBE), tmp_path)
    assert console == []
    probe = json.loads(unescape(re.search(r'data-probe="([^"]*)"', document).group(1)))
    assert probe["falling"] == sorted(probe["falling"], reverse=True)
    assert probe["rising"] == sorted(probe["rising"])
    assert probe["enlarged"]
    assert probe["requests"] == []
    assert probe["broken"] == 0
    assert probe["wide"] <= 0  # nothing makes the page scroll sideways


@needs_chromium
@pytest.mark.parametrize(
    "fault", ['<img src="http://127.0.0.1:9/x.png">', "<script>wrong()</script>"]
)
def test_the_browser_would_tell(tmp_path, run, fault):
    console, _ = browse(report_of(tmp_path, run).replace("<main>", f"<main>{fault}"), tmp_path)
    assert console
