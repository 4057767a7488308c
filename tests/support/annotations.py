"""Make annotations, and look at those that a sandbox has."""

from __future__ import annotations

from typing import Any

from pmacore_sandbox import Sandbox
from pmarep.pmacore import Annotation
from support.sandbox_client import Client

WILD_NOTES = [
    "",
    " ",
    "腫瘍の境界",
    "Rückfall, größer als 5 µm",
    'it\'s "quoted" \\ <script>alert(1)</script>',
    "a\r\nb",
]


def annotation(number: int = 0, **fields: Any) -> Annotation:
    """An annotation that differs from those of other numbers; `fields` by PMA.core's keys."""
    defaults = {
        "LayerID": 1,
        "Geometry": f"POLYGON(({number} 0,10 10,{number} 20,{number} 0))",
        "Classification": "Tumor",
        "Notes": "",
        "Color": "#ff0000",
        "FillColor": "rgba(255, 255, 255, 0.2)",
        "Dimensions": 2,
        "LineThickness": 2,
        "DrawingType": "Polygon",
    }
    return Annotation.read({**defaults, **fields}, "a test")


def annotations_at(sandbox: Sandbox, path: str) -> list[dict[str, Any]]:
    """What GetAnnotations of a sandbox answers."""
    with Client(sandbox) as client:
        answer = client.http.get("api/json/GetAnnotations", params={"sessionID": client.session, "pathOrUid": path})
        assert answer.status_code == 200
        found: list[dict[str, Any]] = answer.json() if answer.content else []
        assert isinstance(found, list), found
        return found


def annotate(sandbox: Sandbox, path: str, *annotations: Annotation) -> list[int]:
    """Save annotations at a sandbox; their ids."""
    with Client(sandbox) as client:
        added = [{"AnnotationID": 0, **one.fields()} for one in annotations]
        ids = client.post("SaveAnnotations", pathOrUid=path, added=added, updated=[], deleted=[])
        assert isinstance(ids, list), ids
        return ids
