# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld's files, of anybody: read, and a ruleset's lines in an administrator's zone. :mod:`emit` writes whole files.

Pure text in, text out. A zone file is edited at the byte offsets that the XML parser reports, so that
what the administrator wrote there (comments, order, white space) stays as it is.

Source: firewalld.service(5), firewalld.zone(5), firewalld.policy(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple
from xml.parsers import expat

from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld import rich
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.emit import attachment_lines
from ansible_collections.netports.apple.plugins.module_utils._firewalls.firewalld.model import (
    Attachment,
    Filter,
    Policy,
    Port,
    Rich,
    Service,
    Zone,
)
from ansible_collections.netports.apple.plugins.module_utils._values import dataclass, replace

_COPY = "<!-- netports.apple copied this file from %s to add to it. -->\n"
# Services may use more. A service of a ruleset that has more has drifted.
_SERVICE_PARTS = ("short", "description", "port")


class XmlError(ValueError):
    """A file of firewalld's that cannot be read, or cannot be edited. The message says why."""


@dataclass(frozen=True)
class _Element:
    """A child of the root: its own children without theirs, and where it stands in the file's bytes.

    :param text: the pieces of the text before its children.
    """

    name: str
    attributes: Dict[str, str]
    children: List[Tuple[str, Dict[str, str]]]
    text: List[str]
    start: int
    end: int


def parse_service(text: str) -> Service:
    """Read a service file.

    :raises XmlError: it is not one.
    """
    _root, elements, _close = _elements(text, "service")
    ports = _ports(elements, "port")
    return Service(
        short=_text(elements, "short"),
        description=_text(elements, "description"),
        ports=tuple(item for item in ports if item[0]),
        protocols=_values(elements, "protocol", "value") + tuple(kind for port, kind in ports if not port),
        source_ports=_ports(elements, "source-port"),
        includes=_values(elements, "include", "service"),
        more=any(element.name not in _SERVICE_PARTS for element in elements),
    )


def parse_policy(text: str) -> Policy:
    """Read a policy file. Services in anything but plain attachments make it have ``more``.

    :raises XmlError: it is not one.
    """
    root, elements, _close = _elements(text, "policy")
    attachments: List[Attachment] = []
    more = False
    for element in elements:
        attachment = _read(element)
        if attachment:
            more = more or attachment in attachments
            attachments.append(attachment)
        elif element.name not in ("short", "description", "ingress-zone", "egress-zone"):
            more = True
    decides = _filter(root, elements)
    return Policy(
        short=_text(elements, "short"),
        description=_text(elements, "description"),
        target=root.get("target", "CONTINUE"),
        priority=decides.priority,
        ingress=decides.ingress,
        egress=decides.egress,
        attachments=tuple(attachments),
        more=more,
    )


def parse_filter(text: str) -> Filter:
    """What a policy file of anybody's decides.

    :raises XmlError: it is not one.
    """
    root, elements, _close = _elements(text, "policy")
    return _filter(root, elements)


def references(text: str) -> Set[str]:
    """Every service that a policy or service file names anywhere; none when it cannot be read."""
    found: List[Tuple[str, Dict[str, str]]] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: found.append((name, attributes))
    try:
        _parse(parser, _bytes(text))
    except XmlError:
        return set()
    # The first is the root.
    named = {attributes.get("name", "") for name, attributes in found[1:] if name == "service"}
    return named | {attributes.get("service", "") for name, attributes in found if name == "include"}


def parse_zone(text: str) -> Zone:
    """Read a zone file.

    :raises XmlError: it is not one.
    """
    root, elements, _close = _elements(text, "zone")
    attachments: List[Attachment] = []
    others: List[str] = []
    for element in elements:
        attachment = _read(element)
        if attachment:
            attachments.append(attachment)
        else:
            others.extend(attributes.get("name", "") for name, attributes in element.children if name == "service")
    return Zone(
        interfaces=_values(elements, "interface", "name"),
        sources=_values(elements, "source", "address"),
        attachments=tuple(attachments),
        references=tuple(others),
        filter=_filter(root, elements),
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
    missing = [attachment for attachment in dict.fromkeys(wanted) if attachment not in found]
    lines = [line for attachment in missing for line in attachment_lines(attachment)]
    # From the end to the beginning: what stands before an edit keeps its place.
    if lines:
        data = _with(data, close, lines)
    for element in reversed(surplus):
        data = _without(data, element.start, element.end)
    edited = data.decode("utf-8", "surrogateescape")
    result = [attachment for attachment in parse_zone(edited).attachments if attachment.service in ours]
    if sorted(result) != sorted(set(wanted)):
        raise XmlError("it cannot be edited: is it written in UTF-8?")
    return edited


def same(text: str, other: str) -> bool:
    """Whether two zone files say the same; comments, white space and the order do not matter.

    :raises XmlError: one of them is no zone file.
    """
    return _said(text) == _said(other)


def _said(text: str) -> Tuple[List[Tuple[str, str]], List[str]]:
    root, elements, _close = _elements(text, "zone")
    parts = [
        repr((element.name, sorted(element.attributes.items()), sorted(map(repr, element.children))))
        for element in elements
        if element.name not in ("short", "description")
    ]
    return sorted(item for item in root.items() if item != ("target", "default")), sorted(parts)


def copy_of(text: str, origin: str) -> str:
    """A distribution's zone file as a file of the administrator's own, which says where it is from."""
    match = re.match(r"<\?xml[^>]*\?>\s*", text)
    split = match.end() if match else 0
    return text[:split] + _COPY % origin + text[split:]


def is_copy(text: str, origin: str, original: Optional[str]) -> bool:
    """Say whether a zone file is what ``copy_of`` makes of the distribution's file as it is now."""
    return original is not None and text == copy_of(original, origin)


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
            element = _Element(name=name, attributes=values, children=[], text=[], start=parser.CurrentByteIndex, end=0)
            found.append(element)
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
            found[-1] = replace(found[-1], end=_tag_end(data, last))
        else:
            close.append(last)

    def text_of(piece: str) -> None:
        if len(stack) == 2 and not found[-1].children:
            found[-1].text.append(piece)

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text_of
    _parse(parser, data)
    return attributes, found, close[0]


def _parse(parser: expat.XMLParserType, data: bytes) -> None:
    """Have the parser read a whole file.

    :raises XmlError: it is not well-formed, or a handler raised it.
    """
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, XmlError):
            raise
        raise XmlError("it is not well-formed XML: %s" % error)


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
        return Attachment(service=element.attributes.get("name", ""))
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
    return rich.attachment(parts["service"]["name"], source, destination, element.attributes["family"])


def _filter(root: Dict[str, str], elements: Sequence[_Element]) -> Filter:
    """What the elements of a zone or policy decide."""
    try:
        priority = int(root.get("priority", "-1"))
    except ValueError:
        priority = 0
    rules: List[Rich] = []
    for element in elements:
        if element.name == "rule":
            parts: rich.Parts = {"rule": element.attributes}
            for name, attributes in element.children:
                parts.setdefault(name, attributes)
            rules.append(rich.rich(parts))
    return Filter(
        target=root.get("target", "default"),
        priority=priority,
        ingress=_values(elements, "ingress-zone", "name"),
        egress=_values(elements, "egress-zone", "name"),
        services=_values(elements, "service", "name"),
        ports=_ports(elements, "port"),
        protocols=_values(elements, "protocol", "value"),
        source_ports=_ports(elements, "source-port"),
        forward_ports=_ports(elements, "forward-port"),
        rules=tuple(rules),
    )


def _values(elements: Sequence[_Element], name: str, attribute: str) -> Tuple[str, ...]:
    return tuple(element.attributes.get(attribute, "") for element in elements if element.name == name)


def _ports(elements: Sequence[_Element], name: str) -> Tuple[Port, ...]:
    return tuple(zip(_values(elements, name, "port"), _values(elements, name, "protocol")))


def _text(elements: Sequence[_Element], name: str) -> str:
    """The text of the first element of a name; empty where there is none."""
    return next(("".join(element.text) for element in elements if element.name == name), "")


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
    return data[:close] + b"".join(line.strip() for line in raw) + data[close:]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
