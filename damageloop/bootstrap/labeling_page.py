"""What annotators see, put together from the parameters and the home's folder of example photos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from damageloop.adapters.label_studio.form import Form, labeling_config
from damageloop.adapters.label_studio.instructions import (
    EXAMPLES,
    ClassText,
    address_of,
    file_name,
    instruction,
    read_examples,
)
from damageloop.adapters.label_studio.setup import ProjectPage
from damageloop.domain.labels import NO_DAMAGE, UNUSABLE
from damageloop.params import Params
from damageloop.settings import Settings

Pictures = Mapping[str, tuple[bytes, ...]]


def form_of(params: Params) -> Form:
    """Return what annotators can say beside boxes."""
    return Form(params.annotation.reasons, params.annotation.severity)


def labeling_page(params: Params, settings: Settings) -> ProjectPage:
    """Return the page of the parameters' classes; its instruction shows the pictures in `settings.examples_dir`."""
    labels, form = params.labels, form_of(params)
    texts = [ClassText(name, labels.definition(name)) for name in labels.classes]
    pictures = _pictures(params, settings)
    examples = {name: [address_of(picture) for picture in each] for name, each in pictures.items()}
    return ProjectPage(labeling_config(labels.classes, labels.former, form), instruction(texts, form, examples))


def put_examples(params: Params, settings: Settings) -> Path | None:
    """Put the example photos where Label Studio serves them, and return the folder; what lay there before stays.

    None for images in a bucket, of which Label Studio serves no files.
    """
    if settings.image_folder is None:
        return None
    folder = settings.image_folder / EXAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for pictures in _pictures(params, settings).values():
        for picture in pictures:
            (folder / file_name(picture)).write_bytes(picture)
    return folder


def _pictures(params: Params, settings: Settings) -> Pictures:
    if settings.image_folder is None:
        return {}
    return read_examples(settings.examples_dir, (*params.labels.classes, NO_DAMAGE, UNUSABLE))
