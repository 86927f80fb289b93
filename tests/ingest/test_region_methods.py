import pytest

from clip_vectorizer.errors import InputError
from ingest.items import GivenBox, GivenBoxes, StoredState
from ingest.region_methods import RegionKind, RegionMethod, RegionRecipe, parse_method
from tests.ingest.fakes import MODEL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", RegionMethod(RegionKind.NONE, 10)),
        ("grid", RegionMethod(RegionKind.GRID, 9, 3, 3)),
        ("grid=4x2", RegionMethod(RegionKind.GRID, 8, 4, 2)),
        ("grid=3x3,0.2", RegionMethod(RegionKind.GRID, 9, 3, 3, 0.2)),
        ("corners", RegionMethod(RegionKind.CORNERS, 4, width=0.5, height=0.35)),
        ("corners=0.9x.2", RegionMethod(RegionKind.CORNERS, 4, width=0.9, height=0.2)),
        ("objects", RegionMethod(RegionKind.OBJECTS, 10)),
        ("boxes", RegionMethod(RegionKind.BOXES, 10, field="boxes")),
        ("boxes=things", RegionMethod(RegionKind.BOXES, 10, field="things")),
        ("boxes=a/b.json", RegionMethod(RegionKind.BOXES, 10, box_file="a/b.json")),
        ("owlv2:models/owl", RegionMethod(RegionKind.OWLV2, 10, grounder="owlv2:models/owl")),
    ],
)
def test_every_method_is_read(text: str, expected: RegionMethod) -> None:
    assert parse_method(text, 10) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no such method"),
        ("tiles", "no such method"),
        ("grid=", "no such method"),
        ("boxes=", "no such method"),
        ("objects=3", "no such method"),
        ("owlv2:", "owlv2:PATH-OR-HUB"),
        ("grid=3", "a grid is COLUMNSxROWS"),
        ("grid=-3x3", "a grid is COLUMNSxROWS"),
        ("grid=0x3", "0 regions an image; a grid has 1 to 100"),
        ("grid=1000x1000", "1,000,000 regions an image"),
        ("grid=3x3,nan", "the overlap is a share from 0 to 1"),
        ("grid=3x3,2", "the overlap is a share from 0 to 1"),
        ("grid=3x3,", "the overlap is a share from 0 to 1"),
        ("corners=", "no such method"),
        ("corners=0.5", "corners are WIDTHxHEIGHT"),
        ("corners=1x0.35", "shares of the picture's sides from 0.05 to below 1, for example corners=0.5x0.35"),
        ("corners=0.5x0.01", "corners are WIDTHxHEIGHT"),
        ("corners=0.5x1.2", "corners are WIDTHxHEIGHT"),
    ],
)
def test_a_method_that_cannot_be_used_is_refused_with_its_text_and_an_example(text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_method(text, 10)
    message = str(refused.value)
    assert (
        words in message
        and repr(text) in message
        and any(each in message for each in ("grid=3x3", "owlv2:", "corners=0.5x0.35"))
    )


def state(regions: str, sha256: str = "ab") -> StoredState:
    return StoredState(sha256, "crop", "stamp", "facts", "/photos", "", regions)


def recipe(text: str = "grid", born: str = "one", grounder: str = "") -> RegionRecipe:
    return RegionRecipe.build(parse_method(text, 10), MODEL, born, grounder)


def test_a_stamp_holds_for_the_same_picture_method_models_and_collection_alone() -> None:
    ours = recipe()
    stored = state(ours.build_stamp("ab", None))
    assert ours.matches("x", stored)
    others = [recipe("grid=2x2"), recipe(born="two"), recipe("objects"), recipe("objects", grounder="2")]
    assert not any(other.matches("x", stored) for other in others)
    assert not ours.matches("x", state(ours.build_stamp("cd", None)))
    assert not ours.matches("x", state(""))


def test_without_a_stored_hash_the_method_must_be_the_same() -> None:
    ours = recipe()
    stored = state(ours.build_stamp("ab", None), sha256="")
    assert ours.matches("x", stored) and not recipe("grid=2x2").matches("x", stored)


def test_boxes_of_a_field_are_part_of_the_stamp() -> None:
    ours = recipe("boxes=things")
    one, other = (GivenBoxes((GivenBox((x, 0, 4, 4)),)) for x in (1, 2))
    assert ours.build_stamp("ab", one) != ours.build_stamp("ab", other)
    assert ours.find_boxes("x", one) == one and ours.find_boxes("x") == GivenBoxes()
    assert recipe("grid").find_boxes("x", one) is None


def test_the_stamps_of_other_methods_are_those_of_before_there_were_corners() -> None:
    assert parse_method("grid", 10).parameters == (1, "grid", 9, 3, 3, 0.0)
    sizes = {parse_method(text, 10).parameters for text in ("corners", "corners=0.5x0.4", "corners=0.4x0.35")}
    assert len(sizes) == 3
