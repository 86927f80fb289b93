"""Label sets that come with the project: kinds of pages, for `--label-set page-kinds`.

A kind is described as a caption would describe such a page, because CLIP learned from captions; its name alone is about
what is on the page ("a photo of a table"), not about the page. The set is used as it is, in any database and with any
model; labels added to it become a set of that name in the database.
"""

from dataclasses import dataclass

from clip_vectorizer.query.prompts import PAGE_PROMPTS, PromptSet, select_prompt_set

PAGE_KINDS = "page-kinds"


@dataclass(frozen=True, slots=True)
class BuiltInLabelSet:
    """Labels with descriptions, as users write them, and the name of their prompts."""

    entries: tuple[str, ...]
    prompt_set: str

    @property
    def prompts(self) -> PromptSet:
        return select_prompt_set(self.prompt_set)


BUILT_IN_SETS = {
    PAGE_KINDS: BuiltInLabelSet(
        (
            "drawing: a technical drawing of a machine part with dimensions and a title block / "
            "an engineering drawing in several views / a blueprint of a mechanical part",
            "schematic: an electronic circuit diagram / a wiring schematic with symbols and lines / a block diagram",
            "chart: a bar chart / a line graph with axes / a pie chart",
            "table: a table of numbers in rows and columns / a spreadsheet / a parts list in a table",
            "text: paragraphs of printed text / a page of a book / a letter with lines of text",
            "photograph: a photograph / a page with a large photo",
            "form: a form with boxes to fill in / an application form with fields and check boxes / an invoice",
            "map: a map with streets / a site plan / a topographic map",
            "empty: an empty white page / a blank sheet of paper",
        ),
        PAGE_PROMPTS,
    )
}
