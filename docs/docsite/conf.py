# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site, which tools/site.sh builds."""

from __future__ import annotations

import posixpath
import re
from typing import Any

from docutils import nodes

project = "netports.apple"
html_title = "netports.apple"
root_doc = "index"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = ["docs/docsite"]
highlight_language = "yaml+jinja"
# Links to headings as GitHub makes them.
myst_heading_anchors = 4
html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False

_REPOSITORY = "https://github.com/netports/apple/tree/main"
# What has a page of another form on the site.
_PAGES = {"roles/host_firewall/README.md": "/plugins/host_firewall_role.rst"}
# What the plugins' pages refer to in Ansible's own documentation. By hand: Sphinx would fetch an index of it at each build.
_ANSIBLE = "https://docs.ansible.com/ansible/latest"
_LABELS = {
    "action_plugins": "plugins/action.html",
    "ansible_collections.ansible.builtin.local_connection": "collections/ansible/builtin/local_connection.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}


def _lead_out(_app: Any, name: str, source: list[str]) -> None:
    """Let Markdown's links to what is not part of the site lead to the repository."""

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[1]))
        if path.startswith("docs/") and path.endswith(".md"):
            return match[0]
        # The other form has other sections.
        page = "" if match[2] else _PAGES.get(path, "")
        return f"]({page or f'{_REPOSITORY}/{path}'}{match[2]}"

    if not name.startswith("plugins/"):
        source[0] = re.sub(r"\]\((?!https?:)([^)#]+)(#[^)]*|)", link, source[0])


def _ansible(_app: Any, _env: Any, node: Any, content: Any) -> Any:
    """A link for a label of Ansible's own documentation; none for others, which are mistakes."""
    page = _LABELS.get(node["reftarget"])
    return page and nodes.reference("", "", content, internal=False, refuri=f"{_ANSIBLE}/{page}")


def _contents(_app: Any, document: Any) -> None:
    """Take the tables of contents out of the plugins' pages: the theme shows its own beside each page."""
    for topic in list(document.findall(nodes.topic)):
        if "contents" in topic["classes"]:
            topic.parent.remove(topic)


def setup(app: Any) -> None:
    """Connect these with Sphinx."""
    app.connect("source-read", _lead_out)
    app.connect("doctree-read", _contents)
    app.connect("missing-reference", _ansible)
