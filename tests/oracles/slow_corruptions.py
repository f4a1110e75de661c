"""Corruptions a second time, pixel by pixel from their description, by loops.

Slow on purpose, and without the library's code or formulas. Pictures are nested
indexable [H][W][3] with levels 0..255; draws are handed in where there are any.
"""

from __future__ import annotations

import colorsys
import math

import numpy as np


def mirrored(index, count):
    """Reflect without repeating the edge: -1 is 1, count is count - 2."""
    while not 0 <= index < count:
        index = -index if index < 0 else 2 * (count - 1) - index
    return index


def reflected(index, count):
    """Reflect and repeat the edge: -1 is 0, count is count - 1."""
    while not 0 <= index < count:
        index = -index - 1 if index < 0 else 2 * count - 1 - index
    return index


def clamped(index, count):
    return min(max(index, 0), count - 1)


def correlate(picture, kernel, border):
    height, width, channels = np.shape(picture)
    reach = len(kernel) // 2
    result = np.zeros((height, width, channels))
    for y, x, c in np.ndindex(height, width, channels):
        for i, j in np.ndindex(len(kernel), len(kernel)):
            row, column = border(y + i - reach, height), border(x + j - reach, width)
            result[y, x, c] += kernel[i][j] * picture[row][column][c]
    return result


def gaussian_kernel(sigma, reach):
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(-reach, reach + 1)]
    total = sum(weights)
    return [[a * b / total**2 for b in weights] for a in weights]


def gaussian_blur(picture, sigma):
    return correlate(picture, gaussian_kernel(sigma, int(4 * sigma + 0.5)), clamped)


def disk_kernel(radius, alias_sigma):
    """A disk of ones in its array, made to sum to 1, smoothed with the array mirrored at its border."""
    reach, soft = (8, 1) if radius <= 8 else (int(radius), 2)
    span = range(-reach, reach + 1)
    disk = [[[1.0 if x * x + y * y <= radius * radius else 0.0] for x in span] for y in span]
    total = np.sum(disk)
    return correlate(disk, gaussian_kernel(alias_sigma, soft), mirrored)[:, :, 0] / total


def defocus_blur(picture, radius, alias_sigma):
    return correlate(picture, disk_kernel(radius, alias_sigma), mirrored)


def motion_blur(picture, radius, sigma, degrees):
    height, width, channels = np.shape(picture)
    weights = [math.exp(-(i**2) / (2 * sigma**2)) for i in range(2 * int(radius) + 1)]
    result = np.zeros((height, width, channels))
    for i, weight in enumerate(weights):
        down = math.ceil(i * math.sin(math.radians(degrees)) - 0.5)
        right = math.ceil(i * math.cos(math.radians(degrees)) - 0.5)
        for y, x in np.ndindex(height, width):
            pixel = np.asarray(picture[clamped(y + down, height)][clamped(x + right, width)], float)
            result[y, x] += weight / sum(weights) * pixel
    return result


def between(picture, y, x, border):
    """Bilinear reading at a point, which may lie outside."""
    height, width, _ = np.shape(picture)
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row, down in ((top, top + 1 - y), (top + 1, y - top)):
        for column, right in ((left, left + 1 - x), (left + 1, x - left)):
            total += down * right * np.asarray(picture[border(row, height)][border(column, width)], float)
    return total


def clipped_zoom(picture, factor):
    height, width, channels = np.shape(picture)

    def origin(at, side):
        crop = math.ceil(side / factor)
        enlarged = round(crop * factor)
        trim = (enlarged - side) // 2
        step = (crop - 1) / (enlarged - 1) if enlarged > 1 else 0.0
        return (side - crop) // 2 + (at + trim) * step

    result = np.zeros((height, width, channels))
    for y, x in np.ndindex(height, width):
        result[y, x] = between(picture, origin(y, height), origin(x, width), clamped)
    return result


def zoom_blur(picture, factors):
    layers = [np.asarray(picture, float)] + [clipped_zoom(picture, factor) for factor in factors]
    return sum(layers) / len(layers)


def glass_walk(picture, draws, delta):
    """Copy near pixels one after the other, from the last pixel to the first; draws [H][W] in [0, 1)."""
    result = np.array(picture)
    height, width, _ = result.shape
    for y in range(height - delta, delta, -1):
        for x in range(width - delta, delta, -1):
            cell = int(draws[y][x] * 4 * delta * delta)
            down, right = cell // (2 * delta) - delta, cell % (2 * delta) - delta
            result[y, x] = result[y + down, x + right]
    return result


def plasma(draws, decay):
    """Diamond-square on a torus, midpoint by midpoint; draws [S][S] in [-1, 1)."""
    side = len(draws)
    cloud = np.zeros((side, side))
    step, wibble = side, 100.0
    while step >= 2:
        half = step // 2

        def set_middle(y, x, neighbours, reach=wibble**2):
            total = sum(cloud[(y + dy) % side, (x + dx) % side] for dy, dx in neighbours)
            cloud[y, x] = total / 4 + reach * draws[y][x]

        corners = [(-half, -half), (-half, half), (half, -half), (half, half)]
        sides = [(-half, 0), (half, 0), (0, -half), (0, half)]
        for y in range(half, side, step):
            for x in range(half, side, step):
                set_middle(y, x, corners)
        for y in range(0, side, step):
            for x in range(half, side, step):
                set_middle(y, x, sides)
        for y in range(half, side, step):
            for x in range(0, side, step):
                set_middle(y, x, sides)
        step, wibble = half, wibble / decay
    return (cloud - cloud.min()) / (cloud - cloud.min()).max()


def smoothed_reflected(field, sigma, truncate):
    """A Gaussian over a field [H][W] reflected at its edges, one tap at a time."""
    height, width = np.shape(field)
    reach = int(truncate * sigma + 0.5)
    weights = {i: math.exp(-(i**2) / (2 * sigma**2)) for i in range(-reach, reach + 1)}
    total = sum(weights.values())
    result = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        for (i, a), (j, b) in ((p, q) for p in weights.items() for q in weights.items()):
            result[y, x] += a * b / total**2 * field[reflected(y + i, height)][reflected(x + j, width)]
    return result


def moved_affinely(picture, corners, moved):
    """Read each pixel where the affine map from ``moved`` to ``corners`` (points right, down) sends it."""
    height, width, channels = np.shape(picture)
    system = np.array([[x, y, 1.0] for x, y in moved])
    to_right, to_down = (np.linalg.solve(system, [point[axis] for point in corners]) for axis in (0, 1))
    result = np.zeros((height, width, channels))
    for y, x in np.ndindex(height, width):
        result[y, x] = between(picture, to_down @ [x, y, 1], to_right @ [x, y, 1], mirrored)
    return result


def _in_hsv(picture, change):
    result = np.zeros(np.shape(picture))
    for y, x in np.ndindex(result.shape[:2]):
        hsv = colorsys.rgb_to_hsv(*(float(level) / 255 for level in picture[y][x]))
        result[y, x] = [255 * level for level in colorsys.hsv_to_rgb(*change(*hsv))]
    return result


def brightness(picture, rise):
    return _in_hsv(picture, lambda h, s, v: (h, s, min(v + rise, 1)))


def saturate(picture, gain, rise):
    return _in_hsv(picture, lambda h, s, v: (h, min(max(s * gain + rise, 0), 1), v))


def contrast(picture, share):
    height, width, channels = np.shape(picture)
    result = np.zeros((height, width, channels))
    for c in range(channels):
        mean = sum(int(picture[y][x][c]) for y, x in np.ndindex(height, width)) / (height * width)
        for y, x in np.ndindex(height, width):
            result[y, x, c] = (picture[y][x][c] - mean) * share + mean
    return result


def canny(layer, weak=50, strong=150):
    """Edges by Sobel, direction in four sectors, and weak edges reached from strong ones."""
    height, width = np.shape(layer)

    def level(y, x):
        return int(layer[clamped(y, height)][clamped(x, width)])

    def gradient(y, x):
        right = sum(w * (level(y + i, x + 1) - level(y + i, x - 1)) for i, w in ((-1, 1), (0, 2), (1, 1)))
        down = sum(w * (level(y + 1, x + i) - level(y - 1, x + i)) for i, w in ((-1, 1), (0, 2), (1, 1)))
        return right, down

    sizes = {at: sum(map(abs, gradient(*at))) for at in np.ndindex(height, width)}
    ridge = set()
    for (y, x), size in sizes.items():
        right, down = gradient(y, x)
        angle = math.degrees(math.atan2(abs(down), abs(right)))
        diagonal = ((-1, 1), (1, -1)) if (right < 0) != (down < 0) else ((-1, -1), (1, 1))
        pair = ((0, -1), (0, 1)) if angle < 22.5 else ((-1, 0), (1, 0)) if angle > 67.5 else diagonal
        before, after = (sizes.get((y + i, x + j), 0) for i, j in pair)
        tie = size >= after if angle < 22.5 or angle > 67.5 else size > after
        if size > weak and size > before and tie:
            ridge.add((y, x))
    reached = [at for at in ridge if sizes[at] > strong]
    found = set(reached)
    while reached:
        y, x = reached.pop()
        for i, j in np.ndindex(3, 3):
            near = (y + i - 1, x + j - 1)
            if near in ridge - found:
                found.add(near)
                reached.append(near)
    return np.array([[(y, x) in found for x in range(width)] for y in range(height)])


def equalize(levels):
    """Each level becomes the share of pixels at or below it, those of the lowest level left out."""
    values = sorted(int(v) for row in levels for v in row)
    rest = [v for v in values if v > values[0]]
    if not rest:
        return np.array(levels)
    return np.array([[round(255 * sum(v <= level for v in rest) / len(rest)) for level in row] for row in levels])
