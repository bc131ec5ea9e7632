"""Write what is made of the chart and of crds/: the plain manifests, and the chart's copies of the CRDs.

Run by `make manifests`; tests/chart checks that what lies here is current.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CRDS = HERE.parent / "crds"
NAMESPACE = "modeldata-system"
VALUES = """\
<!-- Made from manifests/chart/values.yaml by `make manifests`: change it there. -->
# Values of the chart
How it is installed: [install.md](install.md). What is misspelt, or makes no sense, is refused with its name.

| value | default | |
|---|---|---|
"""
HEADER = "# Made from manifests/chart by `make manifests`: change it there.\n"

INSTALL = """\
# Everything of the operator but the CustomResourceDefinitions (crds/), which go first.
"""
NAMESPACED = """\
# The operator for the namespaces that it is given, here one called "models"; it knows of no others, and may do nothing
# in them. For another one replace "models" everywhere; for more, repeat the Roles and RoleBindings of "models" in each
# and list them all in MODELDATA_NAMESPACES (twice) and in the webhook's namespaceSelector; or let Helm do it.
# That namespace and the CustomResourceDefinitions (crds/) go first. The definitions, what has no namespace here, and
# nothing else, are a cluster administrator's to install.
"""
UNINSTALL = """\
# A Job that takes the operator out of the cluster, before what install.yaml has installed is deleted: docs/install.md.
"""
SYSTEM = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    app.kubernetes.io/part-of: modeldata
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
"""


def made(helm: str) -> dict[pathlib.Path, str]:
    """Return what is made, by the file it belongs in."""
    everywhere, some = render(helm, "--no-hooks"), render(helm, "--no-hooks", "--set", "namespaces={models}")
    return {
        **{HERE / "chart/files" / path.name: path.read_text(encoding="utf-8") for path in CRDS.glob("*.yaml")},
        HERE / "install.yaml": HEADER + INSTALL + SYSTEM + everywhere,
        HERE / "namespaced/install.yaml": HEADER + NAMESPACED + SYSTEM + some,
        HERE / "uninstall.yaml": HEADER + UNINSTALL + render(helm, "--show-only", "templates/retirement.yaml"),
        HERE.parent / "docs/values.md": VALUES + values((HERE / "chart/values.yaml").read_text(encoding="utf-8")),
    }


def values(text: str) -> str:
    """Return the table of the chart's values: what stands above each in values.yaml."""
    lines: list[str] = []
    above: list[str] = []
    paths: list[str] = []
    for line in text.splitlines()[1:]:
        said = re.match(r" *# (.*)", line)
        named = re.match(r"( *)([A-Za-z]+):(.*)", line)
        if said:
            above.append(said[1])
        elif named:
            paths = [*paths[: len(named[1]) // 2], named[2]]
            default = named[3].strip()
            if above or default:
                lines.append(f"| `{'.'.join(paths)}` | {f'`{default}`' if default else ''} | {' '.join(above)} |\n")
            above = []
        else:
            above = []
    return "".join(lines)


def render(helm: str, *options: str) -> str:
    """Have Helm write the chart's manifests, without the CRD, and what only Helm itself wants to know."""
    command = [helm, "template", "modeldata", str(HERE / "chart"), "--namespace", NAMESPACE, "--kube-version", "1.30"]
    done = subprocess.run(
        [*command, "--set", "crds.enabled=false", *options], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    documents = re.split(r"^---\n", done.stdout, flags=re.MULTILINE)
    # Who applies the manifests has neither Helm nor its chart: nobody is to look for them there.
    foreign = r"^ +(app\.kubernetes\.io/managed-by: Helm|helm\.sh/chart: .*)\n"
    documents = [re.sub(foreign, "", document, flags=re.MULTILINE) for document in documents]
    kept = [re.sub(r"\A# Source: .*\n", "", document).rstrip() for document in documents]
    return "".join(f"---\n{document}\n" for document in kept if re.search(r"^kind:", document, re.MULTILINE))


def main() -> None:
    """Write the files. The argument is where Helm is, else it is looked for in PATH."""
    helm = sys.argv[1] if len(sys.argv) > 1 else shutil.which("helm")
    if helm is None:
        raise SystemExit("helm is needed: give its path, or have it in PATH")
    for path, text in made(helm).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
