from itertools import combinations

import numpy as np

from leapai.pictures.drawing import Label, Rectangle, draw_text, elide, place_labels, text_size

SIZE_PX = (200, 300)


def crowd(count: int) -> list[Label]:
    corners = np.random.default_rng(0).integers(0, 180, (count, 2))
    return [
        Label(str(i), Rectangle(x, y, x + 12, y + 9), (9, 9, 9)) for i, (x, y) in enumerate(corners)
    ]


def test_labels_overlap_neither_each_other_nor_what_is_taken():
    taken = [Rectangle(40, 40, 120, 90)]
    labels = crowd(150)
    placed = place_labels(labels, SIZE_PX, taken)
    places = [place for _, place in placed] + taken
    assert not any(a.overlaps(b) for a, b in combinations(places, 2))
    assert all(place.inside(SIZE_PX) for place in places)
    assert 20 < len(placed) < len(labels)


def test_a_lonely_label_stands_above_its_object():
    around = Rectangle(100, 100, 120, 110)
    [(_, place)] = place_labels([Label("7", around, (9, 9, 9))], SIZE_PX)
    assert place.bottom <= around.top
    assert place.left < 110 < place.right


def test_the_first_label_wins():
    around = Rectangle(0, 0, 300, 180)
    twins = [Label(name, around, (9, 9, 9), 14) for name in ("first", "second")]
    [(label, _)] = place_labels(
        twins, SIZE_PX, [Rectangle(0, 180, 120, 200), Rectangle(180, 180, 300, 200)]
    )
    assert label.text == "first"


def test_text_is_cut_at_the_border():
    whole, cut = np.zeros((60, 200, 3), np.uint8), np.zeros((60, 200, 3), np.uint8)
    draw_text(whole, "cut me", (20, 20), 20)
    draw_text(cut, "cut me", (-10, -5), 20)
    assert np.array_equal(cut[:20, :60], whole[25:45, 30:90])
    draw_text(cut, "away", (500, 500), 20)


def test_text_is_anti_aliased_and_reports_where_it_ends():
    image = np.zeros((40, 200, 3), np.uint8)
    end = draw_text(image, "Occluded", (5, 5), 20, (255, 255, 255))
    assert len(np.unique(image)) > 20
    assert end == 5 + text_size("Occluded", 20)[0]
    assert not image[:, end:].any()


def test_elided_text_fits():
    text = "CAM_BACK: samples/CAM_BACK/n015.jpg: cannot be decoded"
    short = elide(text, 20, 200)
    assert short.endswith("…")
    assert text.startswith(short[:-1])
    assert 170 < text_size(short, 20)[0] <= 201
    assert elide(text, 20, 2000) == text
