"""Which rows of a batch are computed."""

import torch

from clip_vectorizer.models.row_layouts import layout_attended, layout_images, layout_texts, round_up_rows

START, END = 98, 99


def test_texts_that_begin_alike_share_the_rows_of_their_beginning() -> None:
    layout = layout_texts(torch.tensor([[START, 1, 2, END], [START, 1, 3, END], [START, END, 0, 0]]))
    assert layout.places is not None and layout.attended is not None
    assert layout.places.tolist() == [0, 1, 2, 3, 6, 7, 9]
    assert layout.read.tolist() == [3, 5, 6]
    assert layout.attended.tolist() == [[True] * 4, [True] * 4, [True, True, False, False]]


def test_equal_tokens_after_other_beginnings_have_rows_of_their_own() -> None:
    layout = layout_texts(torch.tensor([[START, 1, 2, 2, END], [START, 2, 2, 2, END]]))
    assert layout.places is not None and len(layout.places) == 9


def test_equal_texts_are_computed_once() -> None:
    layout = layout_texts(torch.tensor([[START, 4, END], [START, 4, END]]))
    assert layout.places is not None and layout.places.tolist() == [0, 1, 2]
    assert layout.read.tolist() == [2, 2]


def test_a_text_alone_is_computed_as_it_is() -> None:
    layout = layout_texts(torch.tensor([[START, 4, 4, END]]))
    assert layout.places is None and layout.rows is None and layout.attended is None


def test_every_token_gets_the_row_that_was_computed_for_it() -> None:
    ids = torch.tensor([[START, 1, 2, END], [START, 1, END, 0], [START, 2, 2, END]])
    layout = layout_texts(ids)
    back = layout.spread(layout.gather(ids[..., None].float()))
    known = ids <= END
    known[1, 3] = False  # padding
    assert torch.equal(back[..., 0][known], ids.float()[known])


def test_padding_of_texts_that_see_all_their_tokens_is_not_computed() -> None:
    attended = torch.tensor([[True, True, False], [True, True, True]])
    layout = layout_attended(attended)
    assert layout.places is not None and layout.places.tolist() == [0, 1, 3, 4, 5]
    assert layout.read.tolist() == [0, 2]
    mask = layout.mask(torch.float32)
    assert mask is not None and torch.equal(mask[:, 0, 0] == 0, attended)


def test_images_have_no_mask() -> None:
    assert layout_images(2, 5).mask(torch.float32) is None
    assert layout_images(2, 5).read.tolist() == [0, 5]


def test_few_numbers_of_rows_occur() -> None:
    counts = {round_up_rows(count) for count in range(1, 4097)}
    assert len(counts) == 32 + 16 * 7
    assert all(count <= round_up_rows(count) <= count * 17 / 16 for count in range(1, 4097))


def test_rows_are_added_up_to_a_number_that_occurs() -> None:
    ids = torch.arange(40 * 3).view(40, 3) % 97
    ids[:, 0], ids[:, 2] = START, END
    layout = layout_texts(ids)
    assert layout.places is not None
    assert len(layout.places) == 84  # 1 + 40 * 2 are needed
    assert layout.places.tolist()[81:] == [0, 0, 0]
    assert len(layout.read) == 40
    assert len(layout_texts(ids[:33]).read) == 34
    assert layout_texts(ids[:33]).extend(torch.ones(33, 2)).sum() == 66
    back = layout.spread(layout.gather(ids[..., None].float()))
    assert torch.equal(back[..., 0], ids.float())


def test_rows_are_added_to_texts_that_see_all_their_tokens() -> None:
    attended = torch.ones(11, 6, dtype=torch.bool)
    attended[0, 5] = False
    layout = layout_attended(attended)
    assert layout.places is not None and len(layout.places) == round_up_rows(65)
