"""The page that tells a person what the server answers; it needs nothing from elsewhere."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2

from dlapps.serve.signatures import Served

PAGE = jinja2.Environment(autoescape=True).from_string("""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>dlapps serve</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
pre, code { font: 14px/1.45 ui-monospace, monospace; }
pre { padding: .75rem; overflow-x: auto; border: 1px solid #8886; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884;
  vertical-align: top; }
</style>
<h1>dlapps serve</h1>
<p>TensorFlow Serving's REST API. <a href="openapi.json">OpenAPI</a>, <a href="metrics">metrics</a>,
<a href="healthz">health</a>.</p>
{% if place %}<p><a href="{{ place }}/">Use the models on a page</a>.</p>{% endif %}
{% for model in models %}
<h2>{{ model.name }}</h2>
<table><tr><th>signature</th><th>inputs</th><th>outputs</th></tr>
{% for name, signature in model.signatures.items() %}
<tr><td><code>{{ name }}</code></td><td>{{ signature.inputs | join(", ") }}</td>
<td>{{ signature.outputs | join(", ") }}</td></tr>
{% endfor %}</table>
<pre>curl http://127.0.0.1:8501/v1/models/{{ model.name }}:predict \\
  -d '{{ examples[model.name] }}'</pre>
{% endfor %}
<h2>Paths</h2>
<table>{% for path, verbs in paths.items() %}{% for verb, about in verbs.items() %}
<tr><td><code>{{ verb.upper() }} {{ path }}</code></td><td>{{ about.summary }}</td></tr>
{% endfor %}{% endfor %}</table></html>
""")


def page(models: Mapping[str, Served], openapi: Mapping[str, Any], place: str = "") -> str:
    """Returns the page as HTML.

    Args:
        models: By name.
        openapi: What the server says of itself.
        place: Of the page on which people use the models, if there is one.
    """
    examples = {name: json.dumps(model.example) for name, model in models.items()}
    return PAGE.render(
        models=models.values(), examples=examples, paths=openapi["paths"], place=place.strip("/")
    )
