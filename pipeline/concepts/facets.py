"""The forms in which an image may show something, and how CLIP is asked for each.

Images whose form is not known by construction are classified zero-shot into these (class set
``FACET_CLASS_SET``); the view ``example_facets`` keeps both kinds apart.
"""

from __future__ import annotations

FACET_CLASS_SET = "facets"
"""Name of the class set under which the scores of a run are stored."""

FACET_PROMPTS: dict[str, str] = {
    "photo": "photograph",
    "painting": "painting",
    "colour drawing": "cartoon in colour",
    "flat drawing": "flat vector icon in colour",
    "line drawing": "black and white line drawing",
    "silhouette": "black silhouette",
    "3d rendering": "3D computer rendering",
    "sculpture": "sculpture",
    "logo": "logo of a company",
    "map": "map",
    "diagram": "chart or technical diagram",
    "rendered word": "page with nothing but printed words",
}
"""Facet -> what goes into the templates. Facets that controlled stimuli have too bear their names
(the column ``facet`` of ``stimuli``); edge maps and colour cards are made, never met."""

FACET_CLASSES = tuple(FACET_PROMPTS.values())
"""The classes of the class set, in the order of `FACET_PROMPTS`."""

FACET_TEMPLATES = ("a {}.", "this image is a {}.", "a {} of something.")
"""Prompts of a form, whatever it shows; their embeddings are averaged."""
