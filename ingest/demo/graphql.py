"""A nearText query in Weaviate's own GraphQL: Weaviate asks the sidecar by itself, our code has no part in it."""

import json
from typing import Any

import httpx

from clip_vectorizer.errors import VectorizerError, WeaviateUnreachable
from clip_vectorizer.schema import CAPTION, PATH, VECTOR
from ingest.demo.places import Endpoints

TIMEOUT_SECONDS = 60.0  # Weaviate's own limit for its module is 50


def near_text(collection: str, text: str, limit: int) -> str:
    """The query, as one would type it."""
    return f"""{{
  Get {{
    {collection}(
      nearText: {{concepts: [{json.dumps(text, ensure_ascii=False)}], targetVectors: ["{VECTOR}"]}}
      limit: {limit}
    ) {{ {PATH} {CAPTION} _additional {{ distance }} }}
  }}
}}"""


def ask(endpoints: Endpoints, collection: str, query: str) -> list[dict[str, Any]]:
    """The rows of the answer. Raises WeaviateUnreachable, and VectorizerError with Weaviate's own words."""
    headers = {"Authorization": f"Bearer {endpoints.api_key}"} if endpoints.api_key else {}
    url = f"{endpoints.weaviate_url.rstrip('/')}/v1/graphql"
    try:
        answer = httpx.post(url, json={"query": query}, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise WeaviateUnreachable(f"{url}: {error}") from error
    told = answer.json()
    if told.get("errors"):
        raise VectorizerError(f"Weaviate refuses the GraphQL query: {told['errors'][0].get('message')}")
    rows: list[dict[str, Any]] = told["data"]["Get"][collection]
    return rows
