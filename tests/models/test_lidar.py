"""Pillars against loops over points."""

import torch

from leapai.config import BevConfig, LidarConfig
from leapai.models.lidar import (
    MAX_LOGIT,
    LidarMiddleEncoder,
    PillarGrouping,
    PillarVfe,
    pillar_grid,
)

BEV = BevConfig(cell_m=3.2, channels=16).grid()
CONFIG = LidarConfig(
    pillar_m=0.8, pillar_channels=8, middle_channels=8, max_pillars=300, max_points_per_pillar=2
)
GRID = pillar_grid(CONFIG, BEV)


def cloud(count=400, seed=0, spread=4.0):
    generator = torch.Generator().manual_seed(seed)
    points = torch.randn(count, 5, generator=generator) * torch.tensor([spread, spread, 1, 1, 0.1])
    return points, torch.randint(0, 2, (count,), generator=generator)


def slow_groups(points, stream, max_points):
    """{(stream, row, column): [point indices]} in the order of the sweep."""
    groups = {}
    for i, (x, y, z) in enumerate(points[:, :3].tolist()):
        inside = -40 <= x < 62.4 and -44.8 <= y < 44.8 and -3 <= z < 5
        if inside and points[i].isfinite().all():
            key = (int(stream[i]), int((y + 44.8) // 0.8), int((x + 40) // 0.8))
            groups.setdefault(key, []).append(i)
    return {key: indices[:max_points] for key, indices in groups.items()}


def test_grouping_equals_a_loop():
    points, stream = cloud()
    points[3, 0] = float("nan")
    points[4, 2] = float("inf")
    points[5, 3] = float("nan")
    points[6, 4] = float("-inf")
    pillars = PillarGrouping(GRID, max_pillars=10_000, max_points=3)(points, stream, 2)
    expected = slow_groups(points, stream, 3)
    assert len(filled(pillars)) == len(expected)
    for v in filled(pillars):
        cell, counted = int(pillars.cell[v]), points_of(pillars, v)
        row, column = cell // GRID.columns % GRID.rows, cell % GRID.columns
        indices = expected[cell // (GRID.rows * GRID.columns), row, column]
        assert torch.equal(counted, points[indices])
    assert not pillars.points[pillars.pillar == len(pillars.cell)].any()
    assert pillars.counts.sum() == sum(map(len, expected.values()))


def test_shapes_depend_on_no_value():
    """A cloud in the range, one outside and one that is not finite have pillars of one shape."""
    group = PillarGrouping(GRID, 50, 3)
    points, stream = cloud()
    clouds = (points, points + 1e4, torch.full_like(points, torch.nan))
    all_shapes = [
        {name: values.shape for name, values in vars(group(one, stream, 2)).items()}
        for one in clouds
    ]
    assert all_shapes[0]["cell"] == (100,)
    assert all_shapes[0] == all_shapes[1] == all_shapes[2]
    assert len(filled(group(points + 1e4, stream, 2))) == 0


def filled(pillars):
    """Indices of the pillars that have points."""
    return (pillars.offsets.diff() > 0).nonzero()[:, 0].tolist()


def points_of(pillars, v):
    """Points [n, 5] that count in pillar v."""
    return pillars.points[pillars.counts & (pillars.pillar == v)]


def test_the_nearest_pillars_stay_in_every_stream():
    points, stream = cloud(2000, spread=15.0)
    everything = PillarGrouping(GRID, 10_000, 48)(points, stream, 2)
    limited = PillarGrouping(GRID, 50, 48)(points, stream, 2)

    def distances(pillars):
        per_stream, cell = GRID.rows * GRID.columns, pillars.cell[filled(pillars)]
        x = (cell % GRID.columns + 0.5) * 0.8 - 40
        y = (cell % per_stream // GRID.columns + 0.5) * 0.8 - 44.8
        return (x**2 + y**2).sqrt(), cell // per_stream

    all_distance, all_stream = distances(everything)
    distance, kept_stream = distances(limited)
    for b in (0, 1):
        nearest = all_distance[all_stream == b].sort().values[:50]
        torch.testing.assert_close(distance[kept_stream == b].sort().values, nearest)


def slow_features(vfe, points, cell):
    """[C] of one pillar from its points [n, 5]."""
    centre = torch.tensor([cell % GRID.columns, cell // GRID.columns % GRID.rows]) + 0.5
    centre = centre * 0.8 + torch.tensor([-40.0, -44.8])
    position = 2 * GRID.normalise(points[:, :3]) - 1
    to_mean = (points[:, :3] - points[:, :3].mean(0)) / 0.8
    to_centre = (points[:, :2] - centre) / 0.8
    inputs = torch.cat([position, points[:, 3:], to_mean, to_centre], 1)
    hidden = torch.relu(vfe.point_norm(vfe.point_mlp(inputs)))
    logits = MAX_LOGIT * torch.tanh(vfe.attention(hidden)[:, 0] / MAX_LOGIT)
    return torch.relu(vfe.pillar_mlp((logits.softmax(0)[:, None] * hidden).sum(0)))


def test_features_equal_a_dense_softmax_forward_and_backward():
    torch.manual_seed(0)
    vfe = PillarVfe(CONFIG, GRID)
    pillars = vfe.group(*cloud(), 2)
    slow = torch.stack(
        [slow_features(vfe, points_of(pillars, v), int(pillars.cell[v])) for v in filled(pillars)]
    )
    every = vfe(pillars)
    fast = every[filled(pillars)]
    assert every.isfinite().all()
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)
    parameters = list(vfe.parameters())
    for a, b in zip(
        torch.autograd.grad((fast**2).sum(), parameters),
        torch.autograd.grad((slow**2).sum(), parameters),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_canvas_holds_each_pillar_where_it_stands():
    encoder = LidarMiddleEncoder(CONFIG, BEV)
    point = torch.tensor([[10.1, -20.3, 0.5, 0.2, 0.0]])
    pillars = PillarGrouping(GRID, 100, 48)(point, torch.tensor([1]), 2)
    canvas = encoder.canvas(torch.ones(200, 8), pillars.cell, streams=2)
    stream, _, row, column = canvas.nonzero()[0].tolist()
    assert canvas.shape == (2, 8, 112, 128)
    assert (stream, row, column) == (1, int((-20.3 + 44.8) / 0.8), int((10.1 + 40) / 0.8))
    assert canvas.sum() == 8


def test_an_empty_cloud_is_valid():
    vfe, encoder = PillarVfe(CONFIG, GRID), LidarMiddleEncoder(CONFIG, BEV).eval()
    pillars = vfe.group(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64), 2)
    bev = encoder(vfe(pillars), pillars.cell, streams=2)
    assert bev.shape == (2, 8, 28, 32)
    assert bev.isfinite().all()
