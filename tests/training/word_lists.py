"""WordNet in miniature, in its own format: nouns with kinds above them, verbs, and how often words are used."""

from pathlib import Path

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
DATA = {
    "noun": (
        "00000001 03 n 01 entity 0 001 ~ 00000002 n 0000 | that which is perceived to have its own existence  ",
        "00000002 25 n 02 shape 0 form 0 001 @ 00000001 n 0000 | any spatial attribute; "
        '"he could barely make out their shapes"  ',
        "00000003 25 n 02 round_shape 0 roundness 0 001 @ 00000002 n 0000 | a shape without corners  ",
        "00000004 25 n 02 circle 0 ring 1 002 @ 00000003 n 0000 ~ 00000008 n 0000 | a curve around one centre  ",
        "00000005 14 n 01 circle 1 001 @ 00000001 n 0000 | an unofficial association of people  ",
        "00000006 25 n 01 square 0 001 @ 00000002 n 0000 | a rectangle with four equal sides  ",
        "00000007 13 n 01 beverage 0 001 @ 00000001 n 0000 | something to drink  ",
        "00000008 18 n 01 Euclid 0 001 @i 00000001 n 0000 | Greek geometer  ",
    ),
    "verb": (
        "00000101 29 v 01 drink 0 001 @ 00000102 v 0000 01 + 08 00 | take in liquids  ",
        "00000102 34 v 01 consume 0 000 01 + 08 00 | take in food or drink  ",
    ),
}
INDEX = (
    "beverage n 1 1 @ 1 0 00000007  ",
    "circle n 2 2 @ ~ 2 1 00000005 00000004  ",
    "euclid n 1 1 @i 1 0 00000008  ",
    "round_shape n 1 1 @ 1 0 00000003  ",
    "square n 1 1 @ 1 0 00000006  ",
)
SENSES = (
    "circle%1:25:00:: 00000004 1 9",
    "square%1:25:00:: 00000006 1 12",
    "round_shape%1:25:00:: 00000003 1 1",
    "drink%2:29:00:: 00000101 1 7",
    "round%3:00:00:: 00000201 1 4",
    "golden%5:00:00:coloured:00 00000202 1 3",
)


def write_wordnet(dictionary: Path) -> Path:
    dictionary.mkdir(parents=True)
    files = {**{f"data.{part}": lines for part, lines in DATA.items()}, "index.noun": INDEX, "index.sense": SENSES}
    for name, lines in files.items():
        (dictionary / name).write_text(LICENCE + "\n".join(lines) + "\n", encoding="utf-8")
    return dictionary
