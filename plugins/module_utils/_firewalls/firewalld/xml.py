# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld's files: services and policies of our own, and our lines in a zone of the administrator's.

Pure text in, text out. A zone file is edited at the byte offsets that the XML parser reports, so that
what the administrator wrote there (comments, order, white space) stays as it is.

Source: firewalld.service(5), firewalld.zone(5), firewalld.policy(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple
from xml.etree import ElementTree
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ansible_collections.netports.apple.plugins.module_utils import _ports
from ansible_collections.netports.apple.plugins.module_utils._rules import Rule, RuleError, network, pairs, version

_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_OWNER = re.compile(
    r"(?:, (?P<direction>inbound|outbound|forwarded)(?: (?:on|from) interface (?P<interface>[A-Za-z0-9_.-]{1,15}))?"
    r"(?: to interface (?P<out_interface>[A-Za-z0-9_.-]{1,15}))?\. )?"
    r"Owned by ruleset (?P<ruleset>[a-z][a-z0-9-]{0,23}) of netports\.apple\b"
)
_WORD = {"in": "inbound", "out": "outbound", "forward": "forwarded"}
# A policy's ingress zone for what the host itself sends, and either end for all zones.
HOST = "HOST"
ANY = "ANY"
_COPY = "<!-- netports.apple copied this file from %s to add to it. -->\n"
# How firewalld writes such a rule at runtime (str of its Rich_Rule), 0.4 to 2.3.
_RICH = re.compile(
    r'rule family="(?P<family>ipv4|ipv6)"(?: source address="(?P<source>[^"]*)")?'
    r'(?: destination address="(?P<destination>[^"]*)")? service name="(?P<service>[^"]*)" accept\Z'
)
# Any rule that lets in on TCP from one network or from anywhere, with or without a log.
_ADMISSION = re.compile(
    r'rule (?:priority="[^"]*" )?(?:family="[^"]*" )?(?:source address="(?P<source>[^"]*)" )?'
    r'(?:port port="(?P<port>[^"]*)" protocol="tcp"|service name="(?P<service>[^"]*)")(?: (?:log|audit).*)? accept\Z'
)
# Services and zones may use more; what we write uses these and a service of ours that has others has drifted.
_SERVICE_PARTS = ("short", "description", "port")


class XmlError(ValueError):
    """A file of firewalld's that cannot be read, or cannot be edited. The message says why."""


class Attachment(NamedTuple):
    """What lets a service through in a zone or policy; no source and no destination mean a plain service."""

    service: str
    source: str = ""
    destination: str = ""

    def text(self) -> str:
        """The attachment as firewalld's tools show it."""
        if not self.source and not self.destination:
            return self.service
        return 'rule family="ipv%d"%s%s service name="%s" accept' % (
            version(self.source or self.destination),
            ' source address="%s"' % self.source if self.source else "",
            ' destination address="%s"' % self.destination if self.destination else "",
            self.service,
        )

    def lines(self) -> List[str]:
        """The attachment as lines of a zone or policy file."""
        service = "  <service name=%s/>" % quoteattr(self.service)
        if not self.source and not self.destination:
            return [service]
        lines = ['  <rule family="ipv%d">' % version(self.source or self.destination)]
        if self.source:
            lines.append('    <source address="%s"/>' % self.source)
        if self.destination:
            lines.append('    <destination address="%s"/>' % self.destination)
        return lines + ["  " + service, "    <accept/>", "  </rule>"]


class Owner(NamedTuple):
    """Whose a file is, from its description."""

    ruleset: str
    direction: str
    interface: str
    out_interface: str


class Service(NamedTuple):
    """A service: its ports as firewalld writes them, and whether it has what we never write."""

    short: str
    description: str
    ports: Tuple[Tuple[str, str], ...]
    more: bool = False

    @property
    def owner(self) -> Optional[Owner]:
        """Whose the service is; ``None`` when no ruleset owns it."""
        return owner(self.description)

    def same(self, other: Service) -> bool:
        """Say whether two definitions mean the same."""
        mine = (self.short, self.description, sorted(self.ports), self.more)
        return mine == (other.short, other.description, sorted(other.ports), other.more)


class Policy(NamedTuple):
    """A policy, and whether it has what we never write."""

    short: str
    description: str
    target: str
    priority: int
    ingress: Tuple[str, ...]
    egress: Tuple[str, ...]
    attachments: Tuple[Attachment, ...]
    more: bool = False

    @property
    def owner(self) -> Optional[Owner]:
        """Whose the policy is; ``None`` when no ruleset owns it."""
        return owner(self.description)

    def same(self, other: Policy) -> bool:
        """Say whether two definitions mean the same; the order of attachments does not matter."""
        mine = self._replace(attachments=tuple(sorted(self.attachments)))
        return mine == other._replace(attachments=tuple(sorted(other.attachments)))


class Admission(NamedTuple):
    """What a rich rule lets in on TCP: from where (empty: anywhere), C(port) or C(service), and which."""

    source: str
    kind: str
    value: str


class Zone(NamedTuple):
    """What a zone file says, as far as it matters here. ``attachments`` are the plain ones, anybody's;
    ``references`` are services that are named in any other way."""

    target: str
    interfaces: Tuple[str, ...]
    sources: Tuple[str, ...]
    ports: Tuple[Tuple[str, str], ...]
    attachments: Tuple[Attachment, ...]
    references: Tuple[str, ...]
    admissions: Tuple[Admission, ...]


class _Element(NamedTuple):
    name: str
    attributes: Dict[str, str]
    children: List[Tuple[str, Dict[str, str]]]
    start: int
    end: int


def slug(name: str) -> str:
    """A rule's name as part of a service's name: ``"Apple TV+"`` becomes ``"apple-tv-plus"``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("+", "-plus")).strip("-")


def owner(description: str) -> Optional[Owner]:
    """Read whose an object is from its description."""
    match = _OWNER.search(description)
    if not match:
        return None
    direction = next((key for key, word in _WORD.items() if word == match.group("direction")), "")
    return Owner(match.group("ruleset"), direction, match.group("interface") or "", match.group("out_interface") or "")


def service_of(rule: Rule, ruleset: str) -> Service:
    """The service that a rule becomes."""
    word = "from" if rule.direction == "forward" else "on"
    interface = " %s interface %s" % (word, rule.interface) if rule.interface else ""
    interface += " to interface %s" % rule.out_interface if rule.out_interface else ""
    description = "What %s needs, %s%s. Owned by ruleset %s of netports.apple, which undoes edits at its next run." % (
        rule.name,
        _WORD[rule.direction],
        interface,
        ruleset,
    )
    ports = [(_ports.text(one), "tcp") for one in rule.tcp] + [(_ports.text(one), "udp") for one in rule.udp]
    return Service(rule.name, description, tuple(ports))


def service_text(service: Service) -> str:
    """A service as its file."""
    lines = ["<service>", "  <short>%s</short>" % escape(service.short)]
    lines.append("  <description>%s</description>" % escape(service.description))
    lines.extend("  <port port=%s protocol=%s/>" % (quoteattr(port), quoteattr(kind)) for port, kind in service.ports)
    return _HEAD + "\n".join(lines + ["</service>", ""])


def policy_of(ruleset: str, ingress: str, egress: str, priority: int, attachments: Sequence[Attachment]) -> Policy:
    """The policy that lets connections through: from C(HOST) the host's own, else what it forwards.

    :param ingress: C(HOST), a zone, or C(ANY), which is every zone and not the host.
    :param egress: a zone, or C(ANY).
    """
    what, word = "Outbound connections of this host", "outbound"
    if ingress != HOST:
        what, word = (
            "Connections that this host forwards" + ("" if ingress == ANY else " from zone " + ingress),
            "forwarded",
        )
    description = "%s%s. Owned by ruleset %s of netports.apple, which undoes edits at its next run." % (
        what,
        "" if egress == ANY else " to zone " + egress,
        ruleset,
    )
    short = "%s, %s" % (ruleset, word)
    return Policy(short, description, "CONTINUE", priority, (ingress,), (egress,), tuple(attachments))


def policy_text(policy: Policy) -> str:
    """A policy as its file."""
    lines = ["<policy priority=%s target=%s>" % (quoteattr(str(policy.priority)), quoteattr(policy.target))]
    lines.append("  <short>%s</short>" % escape(policy.short))
    lines.append("  <description>%s</description>" % escape(policy.description))
    lines.extend("  <ingress-zone name=%s/>" % quoteattr(zone) for zone in policy.ingress)
    lines.extend("  <egress-zone name=%s/>" % quoteattr(zone) for zone in policy.egress)
    for attachment in policy.attachments:
        lines.extend(attachment.lines())
    return _HEAD + "\n".join(lines + ["</policy>", ""])


def attachments_of(rule: Rule, service: str) -> List[Attachment]:
    """How a rule's service is let through: plainly, or from and to its networks."""
    found: List[Attachment] = []
    if not rule.sources and not rule.destinations:
        return [Attachment(service)]
    for family in (4, 6):
        found.extend(Attachment(service, source, destination) for source, destination in pairs(rule, family))
    return found


def rich_rule(text: str) -> Optional[Attachment]:
    """Read a rich rule of the runtime; ``None`` for one that we would not write."""
    match = _RICH.match(text)
    if not match:
        return None
    return _attachment(match.group("service"), match.group("source"), match.group("destination"), match.group("family"))


def admission(text: str) -> Optional[Admission]:
    """Read what a rich rule of the runtime lets in; ``None`` for one that refuses or is narrower."""
    match = _ADMISSION.match(text)
    if not match:
        return None
    kind = "service" if match.group("service") is not None else "port"
    return Admission(match.group("source") or "", kind, match.group(kind))


def parse_service(text: str) -> Service:
    """Read a service file.

    :raises XmlError: it is not one.
    """
    root = _tree(text, "service")
    ports = tuple((one.get("port", ""), one.get("protocol", "")) for one in root.findall("port"))
    more = any(one.tag not in _SERVICE_PARTS for one in root)
    return Service(root.findtext("short") or "", root.findtext("description") or "", ports, more)


def parse_policy(text: str) -> Policy:
    """Read a policy file. Services in anything but plain attachments make it have ``more``.

    :raises XmlError: it is not one.
    """
    root, elements, _close = _elements(text, "policy")
    attachments: List[Attachment] = []
    texts = _tree(text, "policy")
    names: Dict[str, List[str]] = {"ingress-zone": [], "egress-zone": []}
    more = False
    for element in elements:
        attachment = _read(element)
        if attachment:
            more = more or attachment in attachments
            attachments.append(attachment)
        elif element.name in names:
            names[element.name].append(element.attributes.get("name", ""))
        elif element.name not in ("short", "description"):
            more = True
    try:
        priority = int(root.get("priority", "-1"))
    except ValueError:
        priority = 0
    return Policy(
        texts.findtext("short") or "",
        texts.findtext("description") or "",
        root.get("target", "CONTINUE"),
        priority,
        tuple(names["ingress-zone"]),
        tuple(names["egress-zone"]),
        tuple(attachments),
        more,
    )


def references(text: str) -> Set[str]:
    """Every service that a zone, policy or service file names anywhere; none when it cannot be read."""
    try:
        tree = ElementTree.fromstring(_bytes(text))
    except (ElementTree.ParseError, ValueError):
        return set()
    named = {one.get("name", "") for one in tree.iter("service") if one is not tree}
    return named | {one.get("service", "") for one in tree.iter("include")}


def zone_references(text: str) -> Set[str]:
    """The services that a zone file names otherwise than we would."""
    return set(parse_zone(text).references)


def parse_zone(text: str) -> Zone:
    """Read a zone file.

    :raises XmlError: it is not one.
    """
    root, elements, _close = _elements(text, "zone")
    attachments: List[Attachment] = []
    others: List[str] = []
    admissions: List[Admission] = []
    single: Dict[str, List[str]] = {"interface": [], "source": []}
    ports: List[Tuple[str, str]] = []
    for element in elements:
        attachment = _read(element)
        if attachment:
            attachments.append(attachment)
        elif element.name == "interface":
            single["interface"].append(element.attributes.get("name", ""))
        elif element.name == "source":
            single["source"].append(element.attributes.get("address", ""))
        elif element.name == "port":
            ports.append((element.attributes.get("port", ""), element.attributes.get("protocol", "")))
        else:
            others.extend(attributes.get("name", "") for name, attributes in element.children if name == "service")
            admitted = _admission(element)
            admissions.extend([admitted] if admitted else [])
    return Zone(
        root.get("target", "default"),
        tuple(single["interface"]),
        tuple(single["source"]),
        tuple(ports),
        tuple(attachments),
        tuple(others),
        tuple(admissions),
    )


def edit_zone(text: str, owned: Iterable[str], wanted: Sequence[Attachment]) -> str:
    """Make a zone file hold exactly the wanted attachments of the services that we own.

    :param text: the file as it is.
    :param owned: names of our services, also of those that are to go.
    :param wanted: the attachments that are to be there.
    :returns: the file; every byte that is not ours is the same.
    :raises XmlError: it is no zone file, or one that cannot be edited, such as one in UTF-16.
    """
    ours = set(owned)
    data = _bytes(text)
    _attributes, elements, close = _elements(text, "zone")
    found: List[Attachment] = []
    surplus: List[_Element] = []
    for element in elements:
        attachment = _read(element)
        if attachment is None or attachment.service not in ours:
            continue
        if attachment in wanted and attachment not in found:
            found.append(attachment)
        else:
            surplus.append(element)
    lines = [line for one in dict.fromkeys(wanted) if one not in found for line in one.lines()]
    # From the end to the beginning: what stands before an edit keeps its place.
    if lines:
        data = _with(data, close, lines)
    for element in reversed(surplus):
        data = _without(data, element.start, element.end)
    edited = data.decode("utf-8", "surrogateescape")
    result = [one for one in parse_zone(edited).attachments if one.service in ours]
    if sorted(result) != sorted(set(wanted)):
        raise XmlError("it cannot be edited: is it written in UTF-8?")
    return edited


def copy_of(text: str, origin: str) -> str:
    """A distribution's zone file as a file of the administrator's own, which says where it is from."""
    match = re.match(r"<\?xml[^>]*\?>\s*", text)
    split = match.end() if match else 0
    return text[:split] + _COPY % origin + text[split:]


def is_copy(text: str, origin: str, original: Optional[str]) -> bool:
    """Say whether a zone file is what L(copy_of) makes of the distribution's file as it is now."""
    return original is not None and text == copy_of(original, origin)


def _tree(text: str, root: str) -> ElementTree.Element:
    try:
        tree = ElementTree.fromstring(_bytes(text))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise XmlError("it is not well-formed XML: %s" % error)
    if tree.tag != root:
        raise XmlError("its root is <%s>, not <%s>" % (tree.tag, root))
    return tree


def _elements(text: str, root: str) -> Tuple[Dict[str, str], List[_Element], int]:
    """The root's attributes, its children with their places in the file's bytes, and where the root's end begins."""
    data = _bytes(text)
    found: List[_Element] = []
    attributes: Dict[str, str] = {}
    stack: List[Tuple[str, int]] = []
    close: List[int] = []

    def start(name: str, values: Dict[str, str]) -> None:
        if not stack:
            if name != root:
                raise XmlError("its root is <%s>, not <%s>" % (name, root))
            attributes.update(values)
        elif len(stack) == 1:
            found.append(_Element(name, values, [], parser.CurrentByteIndex, 0))
        else:
            found[-1].children.append((name, values))
        stack.append((name, parser.CurrentByteIndex))

    def end(_name: str) -> None:
        begin = stack.pop()[1]
        if len(stack) > 1:
            return
        # An empty element has one tag, and the parser is behind it already.
        tag = _tag_end(data, begin)
        last = begin if data[tag - 2 : tag] == b"/>" else parser.CurrentByteIndex
        if stack:
            found[-1] = found[-1]._replace(end=_tag_end(data, last))
        else:
            close.append(last)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, XmlError):
            raise
        raise XmlError("it is not well-formed XML: %s" % error)
    return attributes, found, close[0]


def _tag_end(data: bytes, start: int) -> int:
    """Where the tag that begins at ``start`` ends; a > inside an attribute's value does not end it."""
    quote = 0
    for index in range(start, len(data)):
        byte = data[index]
        if quote:
            if byte == quote:
                quote = 0
        elif byte in b"\"'":
            quote = byte
        elif byte == 62:
            return index + 1
    raise XmlError("it cannot be edited: is it written in UTF-8?")


def _read(element: _Element) -> Optional[Attachment]:
    """The attachment that an element is; ``None`` for anything that we would not write."""
    if element.name == "service" and not element.children:
        return Attachment(element.attributes.get("name", ""))
    if element.name != "rule" or set(element.attributes) != {"family"}:
        return None
    parts: Dict[str, Dict[str, str]] = {}
    for name, attributes in element.children:
        if name in parts:
            return None
        parts[name] = attributes
    if not set(parts) <= {"source", "destination", "service", "accept"} or "service" not in parts:
        return None
    if "accept" not in parts or parts["accept"] or set(parts["service"]) != {"name"}:
        return None
    if any(set(parts[side]) != {"address"} for side in ("source", "destination") if side in parts):
        return None
    source = parts["source"]["address"] if "source" in parts else None
    destination = parts["destination"]["address"] if "destination" in parts else None
    return _attachment(parts["service"]["name"], source, destination, element.attributes["family"])


def _attachment(service: str, source: Optional[str], destination: Optional[str], family: str) -> Optional[Attachment]:
    if source is None and destination is None:
        return None
    try:
        one = Attachment(service, network(source) if source else "", network(destination) if destination else "")
    except RuleError:
        return None
    return one if family == "ipv%d" % version(one.source or one.destination) else None


def _admission(element: _Element) -> Optional[Admission]:
    names = [name for name, _attributes in element.children]
    parts = dict(element.children)
    source = parts.get("source", {})
    if element.name != "rule" or "accept" not in names or "destination" in parts or set(source) - {"address"}:
        return None
    if "port" in parts and parts["port"].get("protocol") == "tcp":
        return Admission(source.get("address", ""), "port", parts["port"].get("port", ""))
    if "service" in parts:
        return Admission(source.get("address", ""), "service", parts["service"].get("name", ""))
    return None


def _without(data: bytes, start: int, end: int) -> bytes:
    line = data.rfind(b"\n", 0, start) + 1
    after = re.compile(rb"[ \t]*\r?\n").match(data, end)
    if after and not data[line:start].strip(b" \t"):
        return data[:line] + data[after.end() :]
    return data[:start] + data[end:]


def _with(data: bytes, close: int, lines: Sequence[str]) -> bytes:
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    raw = [line.encode("ascii") for line in lines]
    if not data.startswith(b"</", close):
        # <zone/> has no place for children yet; the index is where its only tag begins.
        end = _tag_end(data, close)
        head = data[: end - 2].rstrip() + b">"
        return head + newline + newline.join(raw) + newline + b"</zone>" + data[end:]
    line = data.rfind(b"\n", 0, close) + 1
    if line and not data[line:close].strip(b" \t"):
        return data[:line] + newline.join(raw) + newline + data[line:]
    return data[:close] + b"".join(one.strip() for one in raw) + data[close:]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
