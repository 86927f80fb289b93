"""What `clip-search`, `clip-classify` and `clip-eval` have in common."""

import click

from clip_vectorizer.schema import IMAGE_COLLECTION

collection_option = click.option("--collection", default=IMAGE_COLLECTION, show_default=True, help="Which images.")
tenant_option = click.option(
    "--tenant", default=None, show_default="none", help="Whose, if the collection has tenants."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
