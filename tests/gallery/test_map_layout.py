"""MapPlaces by PCA and UMAP: equal to numpy's own, the same each time, and groups stay apart."""

import asyncio
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.gallery.map_layout import MapPlaces, Plane, check_method, project
from clip_vectorizer.gallery.umap_layout import UmapLayouts
from clip_vectorizer.vectors import Vectors, unit


def make_vectors(seed: int, count: int, dimensions: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, dimensions)).astype(np.float32))


def make_clusters(groups: int = 3, each: int = 40, dimensions: int = 64) -> Vectors:
    """Groups that are narrow beside their distances, one after another."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((groups, dimensions))
    noise = 0.15 * rng.standard_normal((groups * each, dimensions))
    return unit((np.repeat(centres, each, axis=0) + noise).astype(np.float32))


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(3, 60), dimensions=st.integers(2, 40))
def test_pca_is_that_of_numpys_svd(seed: int, count: int, dimensions: int) -> None:
    vectors_nd = make_vectors(seed, count, dimensions)
    found = project(vectors_nd)
    centred = vectors_nd.astype(np.float64) - vectors_nd.mean(axis=0, dtype=np.float64)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.shares, (sizes**2 / (sizes**2).sum())[:2], atol=1e-9)
    for place in range(2):
        next_to = np.abs(np.delete(sizes, place) - sizes[place]).min()
        if next_to > 1e-2:  # of equally long axes, any turn of both is right
            assert abs(found.axes_d2[:, place] @ axes[place]) == pytest.approx(1, abs=1e-6)
            assert np.abs(found.scores_n2[:, place]) == pytest.approx(np.abs(centred @ axes[place]), abs=1e-6)


@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(12)))
def test_axes_have_one_direction_whatever_the_order_of_images(seed: int, order: list[int]) -> None:
    vectors_nd = make_vectors(seed, 12, 6)
    one, other = project(vectors_nd), project(vectors_nd[order])
    lengths = np.abs(one.scores_n2).max(axis=0)
    if min(one.shares[0] - one.shares[1], *lengths) > 1e-2:
        np.testing.assert_allclose(other.scores_n2[:, 0], one.scores_n2[order, 0], atol=1e-5)
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in one.axes_d2.T)


@pytest.mark.parametrize("vectors", [np.ones((1, 4)), np.ones((5, 4)), np.array([[1.0], [-1.0]]), np.zeros((3, 2))])
def test_one_image_and_equal_images_have_a_place(vectors: Any) -> None:
    found = project(vectors.astype(np.float32))
    places = Plane.around(found.scores_n2).place(found.scores_n2)
    assert places.shape == (len(vectors), 2) and np.isfinite(places).all()
    assert ((places >= 0) & (places <= 1)).all() and np.isfinite(found.shares).all()


def test_pca_keeps_groups_apart() -> None:
    found = project(make_clusters())
    assert sum(found.shares) > 0.8
    assert_apart(Plane.around(found.scores_n2).place(found.scores_n2))


def assert_apart(places_n2: Any, groups: int = 3) -> None:
    """Each image is nearer to the middle of its group than to any other."""
    each = len(places_n2) // groups
    middles = places_n2.reshape(groups, each, 2).mean(axis=1)
    distances = np.linalg.norm(places_n2[:, None] - middles[None], axis=2)
    assert (distances.argmin(axis=1) == np.repeat(np.arange(groups), each)).all()
    assert distances.min(axis=1).max() < np.sort(distances, axis=1)[:, 1].min(), "with a gap between them"


def test_umap_keeps_groups_apart_is_the_same_each_time_and_places_few_images_too() -> None:
    """In one process; a last one, which was ended and started anew, says the same."""

    async def run() -> list[MapPlaces]:
        layouts = UmapLayouts()
        try:
            found = [await layouts.project(each) for each in (make_clusters(), *few, make_clusters())]
            layouts.end()
            return [*found, await layouts.project(make_clusters())]
        finally:
            await layouts.close()

    few = [make_vectors(0, count, 8) for count in (1, 2, 3, 5)]
    one, *of_few, again, anew = asyncio.run(run())
    assert_apart(one)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one, anew)
    for vectors_nd, places in zip(few, of_few, strict=True):
        assert places.shape == (len(vectors_nd), 2) and np.isfinite(places).all()


def test_a_process_of_umap_that_fails_is_named_and_the_next_layout_has_another_one() -> None:
    async def run() -> None:
        layouts = UmapLayouts()
        try:
            with pytest.raises(VectorizerError, match=r"UMAP failed: .+; use layout=pca"):
                await layouts.project(np.zeros((), dtype=np.float32))
            assert (await layouts.project(make_vectors(0, 2, 8))).shape == (2, 2)
        finally:
            await layouts.close()

    asyncio.run(run())


def test_an_idle_process_of_umap_ends() -> None:
    async def run() -> int:
        layouts = UmapLayouts(idle_seconds=0.01)
        await layouts.project(make_vectors(0, 2, 8))
        process = layouts._process
        assert process is not None
        return await asyncio.wait_for(process.wait(), 20)

    assert asyncio.run(run()) != 0


def test_another_layout_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match="expected pca or umap"):
        check_method("tsne")


def test_umap_without_its_extra_names_the_line_that_installs_it() -> None:
    with pytest.raises(InputError, match=r"pip install 'clip-vectorizer\[gallery,map\]'"):
        check_method("umap", lambda name: None)
    check_method("pca", lambda name: None)
