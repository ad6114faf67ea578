"""Pages that mkdocs makes from the program itself, so that they cannot differ from it.

``reference/commands.md`` comes from the command line, ``reference/recipes.md`` from the recipe's JSON schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from poseshift.flows.cli import app
from poseshift.flows.experiment.recipe import Recipe

_EXAMPLE = Path(__file__).parents[1] / "recipes" / "human36m_to_3dhp.yaml"
_ROLE = re.compile(r":(?:func|class|meth|attr|data|mod|exc|obj):<code>~?([^<]*)</code>")
_LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "reference/commands.md", content=commands_page()))
    files.append(File.generated(config, "reference/recipes.md", content=recipes_page()))
    return files


def on_page_content(html: str, **_: object) -> str:
    """Show the names that docstrings mark by Sphinx's roles, which Markdown does not know, as code."""
    return _ROLE.sub(r"<code>\1</code>", html)


def commands_page() -> str:
    """Write the page of all commands: usage, text, arguments and options."""
    group = typer.main.get_command(app)
    with group.make_context("poseshift", [], resilient_parsing=True) as context:
        lines = ["# Commands", "", "`poseshift COMMAND --help` shows the same on the terminal.", ""]
        lines += _parameters(group, context)
        lines += _subcommands(group, context, "##")
    return "\n".join(lines) + "\n"


def _subcommands(group: Any, context: Any, heading: str) -> Iterator[str]:
    """Write the commands of a group, and those of the groups inside it."""
    for name in group.list_commands(context):
        command = group.resolve_command(context, [name])[1]
        with command.make_context(name, [], parent=context, resilient_parsing=True) as inner:
            yield from (f"{heading} {inner.command_path}", "", *_paragraphs(command.help), "")
            yield from ("```", f"{inner.command_path} {' '.join(command.collect_usage_pieces(inner))}", "```")
            yield ""
            yield from _parameters(command, inner)
            if hasattr(command, "list_commands"):
                yield from _subcommands(command, inner, f"{heading}#")


def _parameters(command: Any, context: Any) -> Iterator[str]:
    """Write the table of a command's arguments and options."""
    records = [record for one in command.params if (record := one.get_help_record(context)) is not None]
    if not records:
        return
    yield from ("| argument or option | meaning |", "|---|---|")
    for name, meaning in records:
        yield f"| `{_cell(name)}` | {_cell(_escaped(meaning))} |"
    yield ""


def _paragraphs(text: str | None) -> list[str]:
    return [_escaped(line.strip()) for line in (text or "").replace("\f", "\n").splitlines()]


def recipes_page() -> str:
    """Write the page of all fields of a recipe, and of the models that they hold."""
    schema = Recipe.model_json_schema()
    lines = [
        "# Recipes",
        "",
        "A recipe is one YAML file; `poseshift run RECIPE` does what it names. An example:",
        "",
        f"```yaml\n{_EXAMPLE.read_text(encoding='utf-8').rstrip()}\n```",
        "",
        *_model("Recipe", schema),
    ]
    models: Mapping[str, Any] = schema.get("$defs", {})
    for name in _in_order_of_use(schema, models):
        lines += _model(name, models[name])
    return "\n".join(lines) + "\n"


def _in_order_of_use(schema: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    """Names of the models in the order in which a reader of the page meets them."""
    found: list[str] = []
    waiting = [schema.get("properties", {})]
    while waiting:
        for name in re.findall(r'"#/\$defs/([^"]+)"', json.dumps(waiting.pop(0))):
            if name not in found:
                found.append(name)
                waiting.append(models[name])
    return found


def _model(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {name}", "", *_paragraphs(schema.get("description")), "")
    if "enum" in schema:
        yield from (_kind(schema), "")
    fields: Mapping[str, Any] = schema.get("properties", {})
    if not fields:
        return
    yield from ("| field | type | default | meaning |", "|---|---|---|---|")
    for field, content in fields.items():
        default = "required" if field in schema.get("required", ()) else _default(content)
        meaning = _escaped(content.get("description", ""))
        yield f"| `{field}` | {_cell(_kind(content))} | {_cell(default)} | {_cell(meaning)} |"
    yield ""


def _default(content: Mapping[str, Any]) -> str:
    """Write a default; a model is shortened to its name, or left to the table of its own fields."""
    value = content.get("default")
    if isinstance(value, dict):
        named = value.get("name")
        return f"`{named}`" if named else "as in its table"
    return "none" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _kind(content: Mapping[str, Any]) -> str:
    """Write a type in words."""
    if "$ref" in content:
        name = content["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if alternatives := content.get("anyOf") or content.get("oneOf") or content.get("allOf"):
        return " or ".join(dict.fromkeys(_kind(one) for one in alternatives))
    if "enum" in content:
        return " or ".join(f"`{value}`" for value in content["enum"])
    if "const" in content:
        return f"`{content['const']}`"
    if content.get("type") == "array":
        return _array(content)
    name = {"null": "nothing", "string": "text", "object": "mapping"}.get(
        content.get("type", ""), content.get("type", "anything")
    )
    limits = ", ".join(f"{sign} {content[key]:g}" for key, sign in _LIMITS.items() if key in content)
    return f"{name} {_escaped(limits)}" if limits else str(name)


def _array(content: Mapping[str, Any]) -> str:
    if items := content.get("prefixItems"):
        return f"list of {len(items)}: " + ", ".join(_kind(item) for item in items)
    return f"list of {_kind(content.get('items', {}))}"


def _escaped(text: str) -> str:
    """Keep what looks like a tag from being one."""
    return "`".join(
        part if inside % 2 else part.replace("<", "&lt;") for inside, part in enumerate(text.split("`"))
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
