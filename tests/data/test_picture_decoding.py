"""Every kind of picture file becomes RGB as Pillow and torchvision would make it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from reliability.data.decode import decode_rgb
from reliability.errors import DataError


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def colour(layouts):
    return Image.fromarray(layouts.picture(0, 16)[:12])


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


KINDS = {
    "grey JPEG": lambda c: encoded(c.convert("L"), "JPEG"),
    "grey PNG": lambda c: encoded(c.convert("L"), "PNG"),
    "grey and alpha": lambda c: encoded(c.convert("LA"), "PNG"),
    "black and white": lambda c: encoded(c.convert("1"), "PNG"),
    "palette": lambda c: encoded(c.quantize(8), "PNG"),
    "palette with transparency": lambda c: encoded(c.quantize(8), "PNG", transparency=0),
    "transparent": lambda c: encoded(c.convert("RGBA"), "PNG"),
    "CMYK": lambda c: encoded(c.convert("CMYK"), "JPEG"),
    "YCbCr": lambda c: encoded(c.convert("YCbCr"), "JPEG"),
    "16 bit": lambda c: encoded(c.convert("I;16"), "PNG"),
    "turned by EXIF": lambda c: encoded(c, "JPEG", exif=exif(6)),
    "WebP": lambda c: encoded(c, "WEBP"),
    "TIFF": lambda c: encoded(c, "TIFF"),
    "bitmap": lambda c: encoded(c, "BMP"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_what_pillow_converts_to_rgb(colour, kind):
    content = KINDS[kind](colour)
    made = decode_rgb(io.BytesIO(content), where="x")
    assert (made.shape, made.dtype) == ((12, 16, 3), np.uint8)
    assert np.array_equal(made, np.asarray(Image.open(io.BytesIO(content)).convert("RGB")))


@pytest.mark.parametrize("kind", ["grey JPEG", "palette", "transparent", "CMYK", "turned by EXIF"])
def test_it_is_what_torchvision_loads(colour, kind, tmp_path):
    pytest.importorskip("torch")
    from reliability.torchvision_shim import ensure_torchvision_imports

    ensure_torchvision_imports()
    folder = pytest.importorskip("torchvision.datasets.folder")
    (tmp_path / "x").write_bytes(KINDS[kind](colour))
    assert np.array_equal(decode_rgb(tmp_path / "x", where="x"), np.asarray(folder.default_loader(str(tmp_path / "x"))))


def test_transparency_is_dropped_not_blended(layouts):
    pixels = np.dstack([layouts.picture(0, 8), np.zeros((8, 8), np.uint8)])
    content = encoded(Image.fromarray(pixels, "RGBA"), "PNG")
    assert np.array_equal(decode_rgb(io.BytesIO(content), where="x"), pixels[..., :3])


@pytest.mark.parametrize("keep", [0, 1, 20, 200])
def test_a_cut_off_file_is_an_error(colour, keep):
    content = encoded(colour.resize((64, 64)), "PNG")
    with pytest.raises(DataError, match=r"unreadable image[\s\S]*the file"):
        decode_rgb(io.BytesIO(content[:keep]), where="the file")


def test_a_picture_that_declares_absurdly_many_pixels_is_an_error():
    header = encoded(Image.new("L", (1, 1)), "PNG")
    width = (1 << 20).to_bytes(4, "big")
    bomb = header[:16] + width + width + header[24:]
    with pytest.raises(DataError, match="unreadable image"):
        decode_rgb(io.BytesIO(bomb), where="x")
