"""Colour profiles and the colour chunks of PNG."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.images import png_writer as png
from tests.images.case import CorpusCase, Other, Rgb
from tests.images.pictures import (
    alpha_ramp,
    grey_picture,
    jpeg,
    on_white,
    picture,
    three,
    write,
)
from tests.images.profiles import (
    ADOBE,
    ADOBE_GAMMA,
    ADOBE_PROFILE,
    D65_XY,
    P3,
    P3_PROFILE,
    P3_XY,
    PROPHOTO,
    PROPHOTO_PROFILE,
    SRGB,
    SRGB_PROFILE_V2,
    SRGB_PROFILE_V4,
    cmyk_profile,
    convert_cmyk,
    convert_rgb,
    gamma,
    gamma_tag,
    grey_profile,
    matrix_profile,
    srgb_decode,
    srgb_encode,
    turned_lut_profile,
)

FOLDED: Other = {"browser": "other", "why": "it folds black into the other inks before it applies the profile"}
LIMITED: Other = {"browser": "other", "why": "it reads the alpha plane as limited range"}
PICTURE = picture()
GREY = grey_picture()
AS_P3 = convert_rgb(PICTURE, P3, srgb_decode)
AS_ADOBE = convert_rgb(PICTURE, ADOBE, gamma(ADOBE_GAMMA))
AS_PROPHOTO = convert_rgb(PICTURE, PROPHOTO, gamma(1.8))
APPLE_18 = convert_rgb(PICTURE, SRGB, gamma(1.8))
GREY_18 = three(srgb_encode((GREY / 255.0) ** 1.8))
TURNED = PICTURE[..., [2, 0, 1]]


def colour_cases() -> Iterator[CorpusCase]:
    yield from jpeg_profiles()
    yield from inks()
    yield from png_profiles()
    yield from png_chunks()
    yield from other_formats()


def jpeg_profiles() -> Iterator[CorpusCase]:
    yield CorpusCase("jpeg-plain.jpg", "JPEG without a profile", jpeg(PICTURE), truth=PICTURE)
    profiles = {
        "srgb2": ("sRGB, version 2", SRGB_PROFILE_V2, PICTURE),
        "srgb4": ("sRGB, version 4", SRGB_PROFILE_V4, PICTURE),
        "p3": ("Display P3", P3_PROFILE, AS_P3),
        "adobe": ("Adobe RGB", ADOBE_PROFILE, AS_ADOBE),
        "prophoto": ("ProPhoto RGB", PROPHOTO_PROFILE, AS_PROPHOTO),
        "gamma18": ("a profile of gamma 1.8", matrix_profile(SRGB, gamma_tag(1.8)), APPLE_18),
        "turned": ("a profile of tables alone, channels turned, as XYB", turned_lut_profile(), TURNED),
    }
    for name, (what, profile, truth) in profiles.items():
        yield CorpusCase(f"jpeg-{name}.jpg", f"JPEG, {what}", jpeg(PICTURE, icc_profile=profile), truth=truth)
    grey = jpeg(GREY, icc_profile=grey_profile(1.8))
    yield CorpusCase("jpeg-grey-gamma18.jpg", "grey JPEG, grey profile of gamma 1.8", grey, truth=GREY_18)
    useless = {
        "broken": ("a profile of noise", np.random.default_rng(1).bytes(600)),
        "truncated": ("half a profile", P3_PROFILE[: len(P3_PROFILE) // 2]),
        "wrong-space": ("a CMYK profile on RGB", cmyk_profile()),
    }
    for name, (what, profile) in useless.items():
        file = jpeg(PICTURE, icc_profile=profile)
        yield CorpusCase(f"jpeg-profile-{name}.jpg", f"JPEG, {what}: ignored", file, truth=PICTURE)
    file = jpeg(GREY, icc_profile=grey_profile(1.8)[:-8])
    yield CorpusCase("jpeg-grey-truncated.jpg", "grey JPEG, truncated profile: ignored", file, truth=three(GREY))
    yield CorpusCase("jpeg-rgb.jpg", "JPEG of RGB, not YCbCr", jpeg(PICTURE, keep_rgb=True), truth=PICTURE)
    yield CorpusCase("jpeg-gain-map.jpg", "JPEG with an HDR gain map behind it", with_gain_map(), truth=PICTURE)


def with_gain_map() -> bytes:
    file = io.BytesIO()
    gain = Image.fromarray(GREY[::2, ::2].copy())
    Image.fromarray(PICTURE).save(file, "MPO", save_all=True, append_images=[gain], quality=97, subsampling=0)
    return file.getvalue()


def inks() -> Iterator[CorpusCase]:
    cmyk = ink_picture()
    naive = np.rint((255.0 - cmyk[..., :3]) * (255.0 - cmyk[..., 3:]) / 255).astype(np.uint8)
    right, profile = convert_cmyk(cmyk), cmyk_profile()
    yield CorpusCase("jpeg-cmyk.jpg", "CMYK JPEG of Adobe's, inverted", jpeg(cmyk, "CMYK"), truth=naive)
    with_profile = jpeg(cmyk, "CMYK", icc_profile=profile)
    yield CorpusCase("jpeg-cmyk-profile.jpg", "CMYK JPEG with a profile", with_profile, truth=right, **FOLDED)
    three_inks = np.dstack([cmyk[..., :3], np.zeros_like(cmyk[..., 3])])
    no_black = jpeg(three_inks, "CMYK", icc_profile=profile)
    yield CorpusCase(
        "jpeg-cmy-profile.jpg", "CMYK JPEG without black, profile", no_black, truth=convert_cmyk(three_inks)
    )
    yield CorpusCase("jpeg-ycck.jpg", "YCCK JPEG", ycck(cmyk), truth=naive)
    yield CorpusCase("jpeg-ycck-profile.jpg", "YCCK JPEG with a profile", ycck(cmyk, profile), truth=right, **FOLDED)
    broken = jpeg(cmyk, "CMYK", icc_profile=profile[:-4000])
    yield CorpusCase("jpeg-cmyk-broken.jpg", "CMYK JPEG, truncated profile: ignored", broken, truth=naive)
    tiff = write(cmyk, "TIFF", "CMYK")
    yield CorpusCase("tiff-cmyk.tif", "CMYK TIFF", tiff, truth=naive, browser="nothing")
    tiff = write(cmyk, "TIFF", "CMYK", icc_profile=profile)
    yield CorpusCase("tiff-cmyk-profile.tif", "CMYK TIFF with a profile", tiff, truth=right, browser="nothing")


def ink_picture() -> Rgb:
    """(H, W, 4): 255 is full ink."""
    black = np.tile(np.rint(np.linspace(10, 120, PICTURE.shape[1])).astype(np.uint8), (PICTURE.shape[0], 1))
    return np.dstack([255 - PICTURE, black])


def ycck(cmyk: Rgb, profile: bytes | None = None) -> bytes:
    """The planes that libjpeg makes of inverted CMYK, stored as CMYK, whose Adobe marker then names YCCK."""
    luma = np.asarray(Image.fromarray(np.ascontiguousarray(cmyk[..., :3])).convert("YCbCr"))
    planes = np.dstack([255 - luma, cmyk[..., 3]])
    data = bytearray(jpeg(planes, "CMYK", icc_profile=profile))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def png_profiles() -> Iterator[CorpusCase]:
    rgb = {
        "p3": ("Display P3", P3_PROFILE, AS_P3),
        "prophoto": ("ProPhoto RGB", PROPHOTO_PROFILE, AS_PROPHOTO),
        "turned": ("a profile of tables alone", turned_lut_profile(), TURNED),
        "broken": ("a broken profile: ignored", P3_PROFILE[:200], PICTURE),
    }
    for name, (what, profile, truth) in rgb.items():
        file = png.png(PICTURE, png.RGB, chunks=[png.iccp(profile)])
        yield CorpusCase(f"png-{name}.png", f"PNG, {what}", file, truth=truth)
    grey = png.png(GREY, png.GREY, chunks=[png.iccp(grey_profile(1.8))])
    yield CorpusCase("png-grey-gamma18.png", "grey PNG, grey profile of gamma 1.8", grey, truth=GREY_18)
    deep = png.png(PICTURE.astype(np.uint16) * 257, png.RGB, 16, [png.iccp(P3_PROFILE)])
    yield CorpusCase("png-p3-16.png", "PNG of 16 bits, Display P3", deep, truth=AS_P3)
    clear = png.png(np.dstack([PICTURE, alpha_ramp()]), png.RGBA, chunks=[png.iccp(P3_PROFILE)])
    truth = on_white(AS_P3, alpha_ramp())
    yield CorpusCase("png-p3-rgba.png", "transparent PNG, Display P3", clear, truth=truth)
    image = Image.fromarray(PICTURE).quantize(64)
    file = io.BytesIO()
    image.save(file, "PNG", icc_profile=P3_PROFILE)
    truth = convert_rgb(np.asarray(image.convert("RGB")), P3, srgb_decode)
    yield CorpusCase("png-p3-palette.png", "PNG with a palette, Display P3", file.getvalue(), truth=truth)


def png_chunks() -> Iterator[CorpusCase]:
    srgb_chunk = png.chunk(b"sRGB", b"\0")
    linear = (png.gama(1.0), png.chrm(D65_XY, ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))))
    p3 = (png.gama(1 / 2.2), png.chrm(D65_XY, P3_XY))
    as_linear = convert_rgb(PICTURE, SRGB, gamma(1.0))
    as_p3_22 = convert_rgb(PICTURE, P3, gamma(2.2))
    cases = {
        "gama-usual": ("gAMA 0.45455: sRGB", [png.gama(0.45455)], PICTURE),
        "gama-linear": ("gAMA 1", [png.gama(1.0)], as_linear),
        "gama-chrm": ("gAMA 1 and cHRM of sRGB", linear, as_linear),
        "gama-chrm-p3": ("gAMA 0.45455 and cHRM of P3", p3, as_p3_22),
        "srgb": ("sRGB", [srgb_chunk], PICTURE),
        "srgb-gama": ("sRGB beside gAMA 1: sRGB holds", [srgb_chunk, png.gama(1.0)], PICTURE),
        "cicp-p3": ("cICP of Display P3", [png.cicp(12, 13)], AS_P3),
        "cicp-iccp": (
            "cICP of P3 beside iCCP of ProPhoto: cICP holds",
            [png.cicp(12, 13), png.iccp(PROPHOTO_PROFILE)],
            AS_P3,
        ),
        "iccp-srgb": ("iCCP of P3 beside sRGB: iCCP holds", [png.iccp(P3_PROFILE), srgb_chunk], AS_P3),
    }
    for name, (what, chunks, truth) in cases.items():
        file = png.png(PICTURE, png.RGB, chunks=chunks)
        yield CorpusCase(f"png-{name}.png", f"PNG, {what}", file, truth=truth)


def other_formats() -> Iterator[CorpusCase]:
    webp = write(PICTURE, "WEBP", lossless=True, icc_profile=P3_PROFILE)
    yield CorpusCase("webp-p3.webp", "WebP, Display P3", webp, truth=AS_P3)
    clear = np.dstack([PICTURE, alpha_ramp()])
    webp = write(clear, "WEBP", "RGBA", lossless=True, icc_profile=P3_PROFILE, exact=True)
    yield CorpusCase("webp-p3-rgba.webp", "transparent WebP, Display P3", webp, truth=on_white(AS_P3, alpha_ramp()))
    for name, what, profile, truth in (("p3", "Display P3", P3_PROFILE, AS_P3), ("plain", "no profile", None, PICTURE)):
        avif = write(PICTURE, "AVIF", quality=95, subsampling="4:4:4", icc_profile=profile)
        yield CorpusCase(f"avif-{name}.avif", f"AVIF, {what}", avif, truth=truth)
    avif = write(clear, "AVIF", "RGBA", quality=95, subsampling="4:4:4")
    yield CorpusCase("avif-rgba.avif", "transparent AVIF", avif, truth=on_white(PICTURE, alpha_ramp()), **LIMITED)
    for name, what, profile, truth in (
        ("p3", "Display P3", P3_PROFILE, AS_P3),
        ("adobe", "Adobe RGB", ADOBE_PROFILE, AS_ADOBE),
        ("profile-broken", "a broken profile: ignored", P3_PROFILE[:200], PICTURE),
    ):
        tiff = write(PICTURE, "TIFF", icc_profile=profile)
        yield CorpusCase(f"tiff-{name}.tif", f"TIFF, {what}", tiff, truth=truth, browser="nothing")
    tiff = write(GREY, "TIFF", icc_profile=grey_profile(1.8))
    yield CorpusCase(
        "tiff-grey-gamma18.tif", "grey TIFF, grey profile of gamma 1.8", tiff, truth=GREY_18, browser="nothing"
    )
