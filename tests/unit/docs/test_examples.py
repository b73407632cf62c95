# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every example of the README, the documents and the example fleet is run, or checked as far as it goes without a host.

What a kind of example is put through:

- YAML is a play, tasks, variables, an inventory, a site's catalogue, requirements or a changelog's fragment. Plays pass
  `ansible-playbook --syntax-check`. Arguments of the role and of the module pass their argument specs, and the rules that
  come of them are rendered for each firewall. Every other expression is evaluated, by the real plugins.
- A Jinja template is rendered by Ansible's own engine, and gives the text that stands below it.
- A text is what `make try` prints for the products that the page names.
- Commands name targets, variables, playbooks, programs and options that there are. UNRUN says why none is run.

The fences of the documents are all there is: an example that no rule covers fails, and so does a block that is indented.
"""

from __future__ import annotations

import ast
import configparser
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import apply as apply_tool
import pytest
import trial_ports
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager
from matrix import plays

import hosts
from ansible_collections.netports.apple.plugins.doc_fragments import catalogues
from ansible_collections.netports.apple.plugins.filter.audit import audit_changes
from ansible_collections.netports.apple.plugins.module_utils import _run as _host_firewall
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule
from ansible_collections.netports.apple.plugins.plugin_utils import _catalogue

ROOT = plays.ROOT
ROLE = ROOT / "roles" / "host_firewall"
NAME = "netports.apple.host_firewall"
FLEET = ROOT / "examples" / "fleet"
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("roles/*/README.md")),
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "docsite" not in path.parts),
    ROOT / "data" / "README.md",
    ROOT / "tests" / "hosts" / "README.md",
]

# Programs whose commands are not run, and why; what else is known of them is checked.
UNRUN = {
    "ansible-builder": "builds an image; make lint has it write the build context of the same file",
    "ansible-galaxy": "installs from Galaxy; tests/matrix installs the built collection by it",
    "ansible-playbook": "needs hosts; the playbook is checked, and tests/integration plays it on real ones",
    "firewall-cmd": "needs a host with firewalld",
    "make": "each of its targets is what a person starts",
    "nft": "needs a host with nftables; tests/integration/test_nftables.py runs it on real ones",
    "python": "needs a saved page of Apple's; tests/unit/article runs it on such pages",
    "ufw": "needs a host with ufw",
}
# Blocks of shell script, by their page, and why they are not run here.
SCRIPTS = {"docs/backends/firewalld.md": "tests/integration/test_firewalld.py runs it on real hosts"}
# What a task of ours may use of ansible-core's own; nothing of it is run, all of its arguments are evaluated.
BUILTIN = {f"ansible.builtin.{name}" for name in ("debug", "include_role", "raw", "template")}
KEYWORDS = {"name", "vars", "loop", "loop_control", "register", "delegate_to", "become"}


class Example(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    result: str  # the block that stands below a template, with its language in the first line

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def examples() -> Iterator[Example]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = list(re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        consumed = False
        for index, match in enumerate(found):
            language = match[1]
            if consumed:
                consumed = False
                continue
            result = ""
            if (
                language == "jinja"
                and index + 1 < len(found)
                and not text[match.end() : found[index + 1].start()].strip()
            ):
                result = f"{found[index + 1][1]}\n{found[index + 1][2]}"
                consumed = True
            yield Example(page, text[: match.start()].count("\n") + 1, language, match[2], result)


EXAMPLES = list(examples())


def of(language: str) -> pytest.MarkDecorator:
    """A test of the examples in a language."""
    chosen = [one for one in EXAMPLES if one.language == language]
    assert chosen
    return pytest.mark.parametrize("example", chosen, ids=str)


RULES = {"yaml", "jinja", "text", "console", "sh", "ini", "python"}


def test_every_example_has_a_rule() -> None:
    assert len(EXAMPLES) >= 40
    assert [str(one) for one in EXAMPLES if one.language not in RULES] == []


def test_no_page_with_examples_is_left_out() -> None:
    """The order of the site's pages is no example."""
    listed = subprocess.run(
        ["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    found = {name for name in listed if "```" in (ROOT / name).read_text(encoding="utf-8")}
    assert found - {"docs/docsite/contents.md"} <= {str(page.relative_to(ROOT)) for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_block_is_hidden_from_these_tests(page: Path) -> None:
    """Markdown takes an indented paragraph for code as well."""
    rest = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"\n\n {4}.*", rest) == []
    assert "```" not in rest and "~~~" not in rest


# --- Evaluating -------------------------------------------------------------------------------------------------------


def trusted(value: Any) -> Any:
    """A value with all its texts marked as templates of the author's own, as ansible-core marks what it reads."""
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


class Runner:
    """Evaluates examples of one page, with a folder in the place of the playbook's own."""

    def __init__(self, folder: Path) -> None:
        self.loader = DataLoader()
        self.loader.set_basedir(str(folder))
        self.folder = folder
        # A host of the example fleet that is in two of its groups.
        inventory = InventoryManager(self.loader, [str(FLEET / "inventory.yml")])
        variables = VariableManager(self.loader, inventory)
        every = {host.name: variables.get_vars(host=host) for host in inventory.get_hosts()}
        self.known = {**every["mac-02.example.org"], "inventory_dir": str(folder), "hostvars": every}

    def template(self, value: Any, variables: dict[str, Any]) -> Any:
        available = {**self.known, **trusted(variables)}
        return Templar(loader=self.loader, variables=available).template(trusted(value))

    def role(self, given: dict[str, Any]) -> None:
        """Check variables of the role, and render what they make on each firewall."""
        specification = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]
        assert given.keys() <= specification["options"].keys(), "a variable that the role does not have"
        values = self.template(given, given)
        checked = ArgumentSpecValidator(specification["options"]).validate(values)
        assert checked.error_messages == []
        wanted = self.wanted(given)
        assert bool(wanted) == (values.get("host_firewall_state") != "absent")
        self.render(wanted)

    def wanted(self, given: dict[str, Any]) -> Any:
        """The rules that variables of the role make."""
        defaults, variables = (yaml.safe_load((ROLE / part / "main.yml").read_text()) for part in ("defaults", "vars"))
        return self.template("{{ __host_firewall_wanted }}", {**defaults, **variables, **given})

    def render(self, rules: Any, backend: str = "") -> dict[str, Any]:
        """What rules are in the files of a firewall, or of each."""
        parameters = {name: argument.get("default") for name, argument in _host_firewall.ARGUMENTS.items()}
        result: dict[str, Any] = {}
        # pf has no forward rules, and says so.
        kinds = (
            ["ufw", "firewalld"]
            if any(rule["direction"] == "forward" for rule in rules)
            else ["ufw", "firewalld", "nftables", "pf"]
        )
        for name in [backend] if backend else kinds:
            asked = {**parameters, "state": "rendered", "backend": name, "rules": rules}
            result = _host_firewall.execute(asked, lambda _argv, _stdin: (127, "", ""), check=True)
            assert not rules or "".join(result["rendered"].values())
        return result

    def module(self, arguments: dict[str, Any]) -> dict[str, Any]:
        checked = ArgumentSpecValidator(_host_firewall.ARGUMENTS).validate(arguments)
        assert checked.error_messages == []
        backend = arguments.get("backend", "")
        return self.render(checked.validated_parameters["rules"], "" if backend == "auto" else backend)

    def task(self, task: dict[str, Any], variables: dict[str, Any]) -> None:
        """Evaluate a task; what it registers goes to the variables."""
        assert task["name"][0].isupper()
        (action,) = task.keys() - KEYWORDS
        assert action in BUILTIN or action == NAME, f"{action} is an action that no rule covers"
        own = {**variables, **task.get("vars", {})}
        for item in self.template(task.get("loop", [None]), own):
            arguments = self.template(task[action], {**own, "item": item})
            if action == NAME:
                variables[task.get("register", "_")] = self.module(arguments)
            elif action.endswith(".include_role"):
                assert arguments == {"name": NAME}
                self.role(task["vars"])
            elif action.endswith(".raw"):
                subprocess.run(["sh", "-n"], input=arguments, text=True, check=True)
            else:
                assert arguments and all(value not in ("", [], None) for value in arguments.values())

    def play(self, play: dict[str, Any]) -> None:
        """Evaluate a play's roles and tasks; a play that imports a playbook has none."""
        variables = dict(play.get("vars", {}))
        for role in play.get("roles", []):
            assert role["role"] == NAME
            self.role({key: value for key, value in role.items() if key != "role"})
        for task in play.get("tasks", []):
            self.task(task, variables)


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Runner]:
    """A runner for a page's examples, beside the site's catalogue that the page shows, if it shows one."""
    monkeypatch.delenv("NETPORTS_APPLE_CATALOGUES", raising=False)
    monkeypatch.delenv("NETPORTS_APPLE_SUPPLEMENT", raising=False)

    def made(page: Path) -> Runner:
        for one in EXAMPLES:
            if one.page == page and one.text.startswith("---\nedition:"):
                (tmp_path / "catalogues").mkdir(exist_ok=True)
                (tmp_path / "catalogues" / "example.yml").write_text(one.text, encoding="utf-8")
        return Runner(tmp_path)

    return made


# --- YAML -------------------------------------------------------------------------------------------------------------


def kind(content: Any) -> str:
    """What an example in YAML is; empty when it is nothing that is known."""
    if isinstance(content, list) and all(isinstance(item, dict) for item in content):
        if all("hosts" in item or "ansible.builtin.import_playbook" in item for item in content):
            return "plays"
        return "tasks"
    if not isinstance(content, dict):
        return ""
    if all(name.startswith("host_firewall_") for name in content):
        return "variables"
    sections = yaml.safe_load((ROOT / "changelogs" / "config.yaml").read_text())["sections"]
    if content.keys() <= {name for name, _title in sections}:
        return "fragment"
    if any(isinstance(item, dict) and "hosts" in item for item in content.values()):
        return "inventory"
    if set(content) == {"collections"}:
        return "requirements"
    return "site" if "edition" in content else ""


def is_template_variables(example: Example) -> bool:
    return example.text.startswith("---\n# group_vars/all.yml\n")


@of("yaml")
def test_yaml(example: Example, runner: Callable[[Path], Runner]) -> None:
    content = yaml.safe_load(example.text)
    what = "given to templates" if is_template_variables(example) else kind(content)
    run = runner(example.page)
    if what == "plays":
        for play in content:
            run.play(play)
    elif what == "tasks":
        variables: dict[str, Any] = next(
            (yaml.safe_load(one.text) for one in of_page(example.page) if is_template_variables(one)), {}
        )
        for task in content:
            run.task(task, variables)
    elif what == "variables":
        run.role({"host_firewall_products": ["Mail", "AirPlay"], **content})
    elif what == "fragment":
        assert all(isinstance(line, str) and line.endswith(".") for lines in content.values() for line in lines)
    elif what == "inventory":
        (run.folder / "inventory.yml").write_text(example.text)
        assert len(InventoryManager(run.loader, [str(run.folder / "inventory.yml")]).get_hosts()) == 2
    elif what == "requirements":
        version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
        assert content["collections"] == [{"name": "netports.apple", "version": f">={version},<3.0.0"}]
    elif what == "site":
        (run.folder / "site.yml").write_text(example.text)
        assert _catalogue.load([str(run.folder / "site.yml")]).entries
    else:
        assert what == "given to templates", "an example of a kind that no rule covers"


def of_page(page: Path) -> list[Example]:
    return [one for one in EXAMPLES if one.page == page]


def test_every_play_passes_the_syntax_check(tmp_path: Path) -> None:
    playbooks = []
    for index, example in enumerate(one for one in EXAMPLES if one.language == "yaml"):
        what = kind(content := yaml.safe_load(example.text))
        if what in ("plays", "tasks"):
            playbook = content if what == "plays" else [{"hosts": "all", "tasks": content}]
            playbooks.append(tmp_path / f"{index}.yml")
            playbooks[-1].write_text(yaml.safe_dump(playbook, sort_keys=False))
    assert len(playbooks) >= 15
    syntax(tmp_path, *map(str, playbooks))


def syntax(folder: Path, *playbooks: str) -> None:
    plays.run(
        [str(ROOT / ".venv" / "bin" / "ansible-playbook"), "--syntax-check", *playbooks],
        plays.environment(ROOT / ".venv" / "collections", folder),
        folder,
    )


def test_example_fleet(tmp_path: Path) -> None:
    """Each host of the inventory that people copy gets rules from the variables that its groups give it."""
    run = Runner(tmp_path)
    inventory = InventoryManager(run.loader, [str(FLEET / "inventory.yml")])
    manager = VariableManager(run.loader, inventory)
    syntax(tmp_path, str(FLEET / "firewall.yml"))
    shown = {
        FLEET / "inventory.yml",
        FLEET / "firewall.yml",
        *(FLEET / "group_vars" / f"{group}.yml" for group in inventory.groups),
    }
    found = {path for path in (ROOT / "examples").rglob("*") if path.is_file()}
    assert found <= shown and len(inventory.get_hosts()) >= 7
    for host in inventory.get_hosts():
        run.known = manager.get_vars(host=host)
        run.role({name: value for name, value in run.known.items() if name.startswith("host_firewall_")})


# --- Templates --------------------------------------------------------------------------------------------------------


@of("jinja")
def test_template_gives_what_the_page_shows(example: Example, runner: Callable[[Path], Runner]) -> None:
    run = runner(example.page)
    (given,) = [one for one in of_page(example.page) if is_template_variables(one)]
    (run.folder / "example.j2").write_text(example.text, encoding="utf-8")
    # The lookup renders as the module ansible.builtin.template does, and starts no process for it.
    made = run.template("{{ lookup('ansible.builtin.template', 'example.j2') }}", yaml.safe_load(given.text))
    language, shown = example.result.split("\n", 1)
    assert made == shown
    if language == "json":
        assert json.loads(shown)
    elif language == "xml":
        assert len(ElementTree.fromstring(shown))
    else:
        assert language == "text"


TEMPLATES = ROOT / "docs" / "templates.md"


def test_every_use_has_a_template() -> None:
    uses = TEMPLATES.read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(uses) >= 14
    assert [use.splitlines()[0] for use in uses if "```jinja\n" not in use] == []


def test_templates_that_face_the_internet_leave_local_ports_out() -> None:
    facing = [
        one
        for one in EXAMPLES
        if one.page == TEMPLATES
        and one.language == "jinja"
        and re.search(r"direction='out'|directions=\['(out|forward)'\]", one.text)
    ]
    assert len(facing) >= 9
    assert [str(one) for one in facing if not re.search(r"scope='internet'|destinations=\['apns'\]", one.text)] == []


# --- What make try prints ---------------------------------------------------------------------------------------------


def roles_of(page: Path) -> Iterator[dict[str, Any]]:
    """The role's variables in each play of a page."""
    for example in EXAMPLES:
        if example.page == page and example.language == "yaml" and "\n  roles:" in example.text:
            for one in yaml.safe_load(example.text):
                for role in one["roles"]:
                    yield {name: value for name, value in role.items() if name.startswith("host_firewall_")}


@of("text")
def test_what_make_try_prints(example: Example, runner: Callable[[Path], Runner]) -> None:
    page = example.page.read_text(encoding="utf-8")
    places = {"local network": ("10.0.0.2", "fd00::2"), "outside": ("203.0.113.9", "2001:db8::9")}
    printed: set[str] = set()
    named = re.findall(r"host_firewall_products: \[(.+)\]|make try PRODUCTS=\"(.+)\"", page)
    for products in ("".join(groups).split(", ") for groups in named):
        given = {"host_firewall_products": products, "host_firewall_supplement": False}
        wanted = runner(example.page).wanted(given)
        printed.update(audit_changes([{"action": "add", "rule": rule} for rule in wanted]))
        rules = [Rule.from_dict(rule) for rule in wanted]
        tried = [replace(one, seen=one.expected) for one in trial_ports.attempts(rules, places)]
        printed.update(" ".join(line.split()) for line in trial_ports.table(tried, list(places)))
    # A plan of a play on the page.
    for given in roles_of(example.page):
        printed.update(audit_changes([{"action": "add", "rule": rule} for rule in runner(example.page).wanted(given)]))
    assert {" ".join(line.split()) for line in example.text.splitlines()} <= printed


# --- Commands ---------------------------------------------------------------------------------------------------------

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = dict(re.findall(r"^([a-z-]+):(?: .*?)?## (.*)$", MAKEFILE, re.MULTILINE))
SWITCHES = {*re.findall(r"^(?:export )?([A-Z_]+) \?=", MAKEFILE, re.MULTILINE)}
PASSED = set(re.findall(r"^PASSED := (.*)$", MAKEFILE, re.MULTILINE)[0].split())


def check_make(words: list[str]) -> None:
    given = {word.partition("=")[0] for word in words if re.match("[A-Z_]+=", word)}
    targets = [word for word in words if not re.match("[A-Z_]+=", word)]
    assert targets and set(targets) <= TARGETS.keys(), "a target that the Makefile does not have"
    for name in given:
        named = any(re.search(rf"\b{name}=", TARGETS[target]) for target in targets)
        assert named or name in (PASSED if targets in (["apply"], ["try"]) else SWITCHES), f"{name} is not passed on"


def check_playbook(words: list[str]) -> None:
    playbook = next(word for word in words if word.startswith("netports.apple.") or word.endswith("firewall.yml"))
    if not playbook.startswith("netports."):
        return
    path = ROOT / "playbooks" / f"{playbook.rpartition('.')[2]}.yml"
    text = path.read_text(encoding="utf-8")
    for index, word in enumerate(words):
        if word == "-e":
            variable = words[index + 1].partition("=")[0]
            assert re.search(rf"\b{variable}\b", text), f"{path.name} knows no {variable}"


def check_command(line: str) -> None:
    words = [word for word in shlex.split(line, comments=True) if word != "sudo"]
    program = Path(words[0]).name
    assert program in UNRUN, f"{program} is a program that no rule covers"
    if program == "make":
        check_make(words[1:])
    elif program == "ansible-playbook":
        check_playbook(words)
    elif program == "python":
        text = (ROOT / words[1]).read_text(encoding="utf-8")
        assert all(f'"{word}"' in text for word in words if word.startswith("--"))
    for word in words:
        if re.fullmatch(r"(tools|tests|extensions)/[\w./-]+", word):
            assert (ROOT / word).exists(), word


@of("console")
def test_commands(example: Example) -> None:
    for line in example.text.splitlines():
        check_command(line)


@of("sh")
def test_scripts(example: Example) -> None:
    assert SCRIPTS.get(str(example.page.relative_to(ROOT))), "a script of which nobody says where it is run"
    subprocess.run(["sh", "-n"], input=example.text, text=True, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_sentences(page: Path) -> None:
    rest = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for command in re.findall(r"`((?:sudo )?make [^`]+)`", rest):
        check_command(" ".join(command.split()))
    for words in re.findall(r"`([A-Z_]+)=[^`]*`", rest):
        assert words in PASSED | SWITCHES | {"FUZZ"}, words


def test_what_make_apply_and_make_try_take_is_passed_as_it_was_typed() -> None:
    assert PASSED == {*apply_tool.LISTS, *apply_tool.WORDS, "HOSTS", "CHECK", "CONFIRM", "FIREWALL", "KEEP"}


# --- Others -----------------------------------------------------------------------------------------------------------


@of("ini")
def test_settings(example: Example) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(example.text)
    if "reflector" in parser:
        # Avahi's, of avahi-daemon.conf(5), with types of the catalogue.
        assert set(parser["reflector"]) == {"enable-reflector", "reflect-filters"}
        types = parser["reflector"]["reflect-filters"].split(",")
        known = {f"{kind}.local" for kinds in _catalogue.load().everyday()["dns_sd"].values() for kind in kinds}
        assert types and set(types) <= known
        return
    options = yaml.safe_load(catalogues.ModuleDocFragment.DOCUMENTATION)["options"].values()
    settings = {(ini["section"], ini["key"]) for option in options for ini in option.get("ini", [])}
    assert {(section, key) for section in parser.sections() for key in parser[section]} <= settings


@of("python")
def test_names_of_the_test_hosts(example: Example) -> None:
    """Not run: it is a test on real hosts, as those of tests/integration."""
    loaded = {node.id for node in ast.walk(ast.parse(example.text)) if isinstance(node, ast.Name)}
    assert {name for name in loaded if hasattr(hosts, name)} >= {"Host", "play", "listen", "probe"}
    stored = {"host", "peer", "before", "done", "pytest", "None"}
    assert {name for name in loaded if not hasattr(hosts, name)} <= stored
