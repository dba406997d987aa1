"""An extension of griffe: our docstrings as Markdown, with fenced examples and without roles of Sphinx."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)
ROOMS = re.compile(r"^May import:.*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)  # concerns only our own code
ROLE = re.compile(r":(?:class|func|meth|mod|data|attr):(?=`)")


class Docstrings(Extension):
    """Changes every docstring before it is rendered."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            text = ROOMS.sub("", ROLE.sub("", obj.docstring.value))
            obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", text)
