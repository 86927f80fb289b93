from clip_vectorizer.gallery.address import Address
from clip_vectorizer.gallery.chips import Chip, build_chips


def chips(query: str) -> list[Chip]:
    return build_chips(Address.parse(query))


def test_each_text_has_its_weight_and_links_that_change_it() -> None:
    horse, stripes, fruit = chips("q=horse+%2B+2*stripes+-+fruit&where=a%3Db&offset=40")[:3]
    assert [horse.sign, stripes.sign, fruit.sign] == ["+", "2 ×", "−"]  # noqa: RUF001
    assert horse.more == "/?where=a%3Db&q=1.5%2Ahorse+%2B+2%2Astripes+-+fruit"
    assert stripes.less == "/?where=a%3Db&q=horse+%2B+1.5%2Astripes+-+fruit"
    assert fruit.more == "/?where=a%3Db&q=horse+%2B+2%2Astripes+-+0.5%2Afruit"
    assert horse.remove == "/?where=a%3Db&q=2%2Astripes+-+fruit"


def test_a_text_alone_has_no_chip_and_one_beside_a_picture_has() -> None:
    assert chips("q=owl") == []
    assert [chip.text for chip in chips("q=owl&like=a.png")] == ["a.png", "owl"]


def test_a_plain_text_is_no_sum() -> None:
    assert chips("q=a+%2B+b&plain=1") == []


def test_a_picture_counts_twice_when_it_is_given_twice() -> None:
    [cat] = chips("like=cat.png&like=cat.png")
    assert (cat.sign, cat.more) == ("2 ×", "/?like=cat.png&like=cat.png&like=cat.png")  # noqa: RUF001
    assert cat.less == "/?like=cat.png" and cat.remove == "/"


def test_less_of_one_picture_subtracts_it_and_more_of_that_adds_it_again() -> None:
    [cat] = chips("like=cat.png")
    assert cat.less == "/?unlike=cat.png"
    [cat] = chips("unlike=cat.png")
    assert (cat.sign, cat.more) == ("−", "/?like=cat.png")  # noqa: RUF001


def test_a_picture_that_was_sent_cannot_be_subtracted() -> None:
    [sent] = chips(f"image=sha256:{'0' * 64}")
    assert sent.less == "" and sent.picture == f"/upload/{'0' * 64}"


def test_another_weight_moves_a_text_of_plus_or_minus_into_the_search_field() -> None:
    plus, minus = chips("plus=tail&minus=fruit")
    assert plus.more == "/?minus=fruit&q=1.5%2Atail"
    assert minus.more == "/?plus=tail&q=-+0.5%2Afruit"
    [sum_] = chips("plus=a+%2B+b")  # in the field, this would be two texts
    assert sum_.more == sum_.less == "" and sum_.remove == "/"
