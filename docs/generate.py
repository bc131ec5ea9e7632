"""Write docs/reference/: what can be looked up in the sources, as tables. Run by `make reference`; a test checks it."""

from __future__ import annotations

import argparse
import collections.abc
import importlib.util
import inspect
import json
import pathlib
import re
import typing

import prometheus_client.metrics
import yaml

import modeldata
import modeldata.metrics
import modeldata.observe.metrics
import modeldata.web
import modeldata_analytics
import modeldata_analytics.__main__
import modeldata_operator.observe.metrics

HERE = pathlib.Path(__file__).resolve().parent
CRDS = HERE.parent / "crds"
CONSTRAINTS = HERE.parent / "constraints.txt"
TYPES = HERE.parent / "tests/collecting/collected_types.py"
TYPES_BEGIN, TYPES_END = "<!-- Made from tests/collecting/collected_types.py by `make reference`. -->", "<!-- made -->"
SCHEMA = HERE / "contract/settings.schema.json"
Schema = dict[str, typing.Any]
Row = collections.abc.Sequence[str]


def made() -> dict[pathlib.Path, str]:
    """Return each file's text."""
    return {
        HERE / "reference/datacollection.md": resource("datacollections", examples="datacollection.md"),
        HERE / "reference/storagegrant.md": resource("storagegrants", examples="credentials.md"),
        HERE / "reference/settings.md": settings(json.loads(SCHEMA.read_text(encoding="utf-8"))),
        HERE / "reference/metrics.md": metrics(),
        HERE / "reference/client.md": client(),
        HERE / "reference/analytics.md": analytics(),
        HERE / "reference/commands.md": commands(),
        HERE / "compatibility.md": compatibility((HERE / "compatibility.md").read_text(encoding="utf-8")),
    }


def resource(plural: str, *, examples: str) -> str:
    """Describe a resource of ours."""
    source = CRDS / f"{plural}.yaml"
    definition = yaml.safe_load(source.read_text(encoding="utf-8"))
    names = definition["spec"]["names"]
    (version,) = definition["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    about = [
        [
            f"`{definition['spec']['group']}/{version['name']}`",
            f"`{names['kind']}`",
            f"`{', '.join(names['shortNames'])}`",
        ]
    ]
    columns = [[column["name"], column.get("description", "")] for column in version["additionalPrinterColumns"]]
    parts = [
        heading(f"crds/{source.name}", names["kind"], schema["description"]),
        table(["apiVersion", "kind", "short name"], about),
        f"With examples: [{examples}](../{examples}).\n",
        "".join(rules(schema, "the object")),
    ]
    for name in [part for part in ("spec", "status") if part in schema["properties"]]:
        inner = schema["properties"][name]
        parts += [f"## {name}\n{inner['description']}\n", table(["field", "type", "default", ""], fields(inner))]
        said = [line for path, part in walk(inner) for line in rules(part, f"`{path}`")]
        if said:
            parts += [f"### What is refused in {name}\n", "".join(said)]
    parts += [f"## What `kubectl get {names['shortNames'][0]}` shows\n", table(["column", ""], columns)]
    return page(parts)


def settings(schema: Schema) -> str:
    """Describe the contract between operator and client."""
    where = "docs/contract/settings.schema.json"
    parts = [
        heading(where, "settings.json", schema.get("description", "")),
        table(["field", "type", "default", ""], fields(schema)),
    ]
    return page(parts)


def metrics() -> str:
    """Describe the metrics of both sides."""
    ours = modeldata_operator.observe.metrics
    made: list[typing.Any] = [*vars(ours).values()]
    kept = [each for each in made if isinstance(each, prometheus_client.metrics.MetricWrapperBase)]
    shown: list[typing.Any] = [*ours.COLLECTIONS.collect()]
    found = [(each._name, each._type, each._labelnames, each._documentation) for each in kept]
    found += [(each.name, each.type, each._labelnames, each.documentation) for each in shown]
    operator = []
    for name, kind, labels, text in sorted(found):
        shown_name = f"`{name}{'_total' if kind == 'counter' else ''}`"
        operator.append([shown_name, str(kind), ", ".join(f"`{label}`" for label in labels), str(text)])
    seen = modeldata.observe.metrics.numbers(modeldata.Statistics(), enabled=False, generation=0)
    collected = [
        [f"`{each.name}`", "counter" if each.grows else "gauge", f"`{each.label}`" if each.label else "", each.text]
        for each in seen
    ]
    head = ["metric", "type", "labels", ""]
    return page(
        [
            heading(
                "the objects in operator/modeldata_operator/observe/metrics.py and client/modeldata/observe/metrics.py",
                "Metrics",
                "",
            ),
            "Which of them deserve an alert: [operations.md](../operations.md#alerts).\n",
            "## Of a model's process\nIn the model's own registry, where it has `prometheus_client`.\n",
            table(head, collected),
            "## Of the operator\nOn port 8081, `/metrics`, of both processes.\n",
            table(head, operator),
        ]
    )


def client() -> str:
    """Describe what a script imports."""
    collector = modeldata.ModelDataCollector
    parts = [
        heading(
            "the docstrings of client/modeldata", "The client's API", "What it promises: [client.md](../client.md)."
        ),
        described("ModelDataCollector", collector, "modeldata."),
        described("collect", collector.collect, "ModelDataCollector."),
        described("add_correlations", collector.add_correlations, "ModelDataCollector."),
    ]
    names = [name for name in modeldata.__all__ if inspect.isfunction(getattr(modeldata, name))]
    parts += [described(name, getattr(modeldata, name), "modeldata.") for name in names]
    parts += [
        described("request_id", modeldata.request_id, "modeldata."),
        described("register", modeldata.metrics.register, "modeldata.metrics."),
        described("WSGIMiddleware", modeldata.web.WSGIMiddleware, "modeldata.web."),
        described("ASGIMiddleware", modeldata.web.ASGIMiddleware, "modeldata.web."),
        "## modeldata.Statistics\n" + (inspect.getdoc(modeldata.Statistics) or "") + "\n",
        table(["field", "type", ""], attributes(modeldata.Statistics)),
    ]
    return page(parts)


def analytics() -> str:
    """Describe what an analyst imports."""
    store, model = modeldata_analytics.Store, modeldata_analytics.Model
    source = "the docstrings of analytics/modeldata_analytics"
    parts = [
        heading(source, "The API of modeldata-analytics", "What to use when: [reading.md](../reading.md)."),
        described("Store", store, "modeldata_analytics."),
        *(described(name, getattr(store, name), "Store.") for name in ("streams", "model")),
        f"## modeldata_analytics.Model\n{docstring(inspect.getdoc(model) or '')}\n",
        *(described(name, each, "Model.") for name, each in vars(model).items() if name[0] != "_"),
        "## Errors and warnings\nAll are names of `modeldata_analytics`.\n",
    ]
    kinds = [getattr(modeldata_analytics, name) for name in modeldata_analytics.__all__]
    rows = [
        [f"`{each.__name__}`", f"`{each.__base__.__name__}`", " ".join(docstring(inspect.getdoc(each) or "").split())]
        for each in kinds
        if issubclass(each, Exception)
    ]
    return page([*parts, table(["name", "is a", ""], rows)])


def commands() -> str:
    """Describe the command line of analytics."""
    parts = [
        heading(
            "analytics/modeldata_analytics/commands",
            "The command modeldata",
            "Of the distribution `modeldata-analytics`; `python -m modeldata_analytics` is the same.",
        )
    ]
    for command in modeldata_analytics.__main__.COMMANDS:
        parser = argparse.ArgumentParser(prog=f"modeldata {command.NAME}")
        command.add(parser)
        given = [each for each in parser._actions if each.dest != "help"]
        words = [each.metavar or each.dest.upper() for each in given if not each.option_strings]
        usage = " ".join(["modeldata", command.NAME, *map(str, words), "[OPTIONS]" if len(words) < len(given) else ""])
        rows = [[f"`{named(each)}`", (each.help or "").replace("%%", "%")] for each in given]
        about = docstring(command.__doc__ or "")
        parts += [f"## modeldata {command.NAME}\n```text\n{usage.strip()}\n```\n\n{about}\n", table(["", ""], rows)]
    return page(parts)


def named(argument: argparse.Action) -> str:
    """Return an argument as it is written."""
    value = argument.metavar or argument.dest.upper()
    if not argument.option_strings:
        return str(value)
    if argument.nargs == 0:
        return argument.option_strings[0]
    choices = ",".join(map(str, argument.choices or ()))
    return f"{argument.option_strings[0]} {f'{{{choices}}}' if choices else value}"


def compatibility(page: str) -> str:
    """Write the table of types into a page, from the cases that the tests run."""
    pins = [line.split("==") for line in CONSTRAINTS.read_text(encoding="utf-8").split() if "==" in line]
    versions = {name.lower(): version for name, version in pins}
    spec = importlib.util.spec_from_file_location("collected_types", TYPES)
    assert spec is not None
    assert spec.loader is not None
    cases = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cases)
    rows = []
    for case in cases.CASES:
        becomes = case.rows if case.rows == cases.REFUSED else "<br>".join(f"`{line}`" for line in lines(case.rows))
        under = f" under `{', '.join(case.names)}`" if case.names else ""
        version = versions.get(case.library, "")
        rows.append([f"{case.library} {version}".strip(), case.kind, f"`{case.expression}`{under}", becomes])
    before, _, rest = page.partition(TYPES_BEGIN)
    _, _, behind = rest.partition(TYPES_END)
    made = table(["library", "type", "collected", "is in the file"], rows)
    return f"{before}{TYPES_BEGIN}\n{made}{TYPES_END}{behind}"


def lines(rows: str) -> list[str]:
    """Return the lines of a case's rows; an empty cell alone would be no code."""
    return [line or " " for line in rows.split(" / ")]


def heading(source: str, title: str, text: str) -> str:
    """Begin a page."""
    made = f"<!-- Made from {source} by `make reference`: change it there. -->\n# {title}\n"
    return f"{made}{text}\n" if text else made


def page(parts: collections.abc.Iterable[str]) -> str:
    """Put parts together, an empty line between two, as Markdown wants it around tables."""
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts if part.strip())


def table(head: Row, rows: collections.abc.Iterable[Row]) -> str:
    """Write a table; a bar within a cell would end it."""
    lines = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (list(head), ["---"] * len(head), *lines))


def fields(schema: Schema) -> list[Row]:
    """Return a row for each field, with its path, type, default and description."""
    return [
        [f"`{path}`", kind(part), default(part, path), " ".join(part.get("description", "").split())]
        for path, part in walk(schema)
        if part.get("description") or "properties" not in part
    ]


def walk(schema: Schema, before: str = "") -> collections.abc.Iterator[tuple[str, Schema]]:
    """Yield all fields below an object, with their paths; of lists, what their items have."""
    needed = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        yield before + name, {**part, "needed": name in needed}
        yield from walk(part, f"{before}{name}.")
        yield from walk(part.get("items", {}), f"{before}{name}[].")


def kind(part: Schema) -> str:
    """Name a field's type, with its bounds."""
    if "enum" in part or "const" in part:
        return ", ".join(f"`{value}`" for value in part.get("enum", [part.get("const")]))
    if part.get("type") == "array":
        return f"list of {kind(part.get('items', {'type': 'any'}))}"
    if "additionalProperties" in part and "properties" not in part:
        return f"map of {kind(part['additionalProperties'])}"
    low, high = part.get("minimum"), part.get("maximum")
    bounds = f" {low} to {high}" if high is not None else f" ≥ {low}" if low is not None else ""
    longest = f" ≤ {part['maxLength']} characters" if "maxLength" in part else ""
    return f"{part.get('type', 'any')}{bounds}{longest}"


def default(part: Schema, path: str) -> str:
    """Say what holds where a field is left out."""
    if "default" in part and part["default"] not in ({}, []):
        return f"`{json.dumps(part['default']).strip(chr(34))}`"
    return "**needed**" if part.get("needed") and "status" not in path else ""


def rules(part: Schema, about: str) -> list[str]:
    """Return what is refused of a part, as the API server says it."""
    found = part.get("x-kubernetes-validations", []) + part.get("items", {}).get("x-kubernetes-validations", [])
    return [f"- {about}: {each['message']}\n" for each in found]


def described(name: str, member: typing.Any, before: str) -> str:
    """Describe a class or function by its signature and docstring."""
    signature = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(member)))
    signature = signature.replace("typing.", "").replace("(self, ", "(").removesuffix(" -> None").replace("'", '"')
    return f"## {before}{name}\n```text\n{name}{signature}\n```\n\n{docstring(inspect.getdoc(member) or '')}\n"


def docstring(text: str) -> str:
    """Turn a docstring's sections into lists."""
    lines: list[str] = []
    listing = False
    for line in text.replace("``", "`").splitlines():
        if re.fullmatch(r"(Args|Returns|Raises|Yields):", line):
            lines.append(f"**{'Arguments' if line == 'Args:' else line[:-1]}**\n")
            listing = True
        elif listing and re.match(r" {4}\S", line):
            named = re.fullmatch(r" {4}(\w+): (.*)", line)
            lines.append(f"- `{named[1]}`: {named[2]}" if named else line.strip())
        elif listing and line.startswith("     "):
            lines[-1] += f" {line.strip()}"
        else:
            listing = False if line else listing
            lines.append(line)
    return "\n".join(lines).strip()


def attributes(cls: type) -> list[Row]:
    """Return a row for each attribute of a dataclass, with the text that stands below it."""
    source = inspect.getsource(cls)
    pattern = r'^    (\w+): (.+?) = .+\n    """([^"]+)"""$'
    found = re.findall(pattern, source, re.MULTILINE)
    return [[f"`{name}`", f"`{kind}`", " ".join(text.replace("``", "`").split())] for name, kind, text in found]


def main() -> None:
    """Write the files."""
    for path, text in made().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
