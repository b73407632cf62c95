# Copyright (c) 2026, netports.apple contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules at the end of an administrator's input chain, and what they make of it. Each release of nft prints them otherwise."""

from __future__ import annotations

# What the rules below need, and the chain. Each form has a table of its own.
TABLE = """table inet NAME {
\tcounter c { }
\tset seen { type ipv4_addr; flags dynamic; size 9; }
\tset moving { type ipv4_addr; flags timeout; }
\tset pairs { type ipv4_addr . inet_service; flags timeout; }
\tmap gates { type ipv4_addr : verdict; flags timeout; }
\tchain logdrop { log prefix "x"; counter drop; }
\tchain mixed { tcp dport 1 drop; accept; }
\tchain slow { limit rate 1/second return; drop; }
\tMARKING
\tchain input { type filter hook input priority 0; RULE; }
}
"""
MARKING = "chain pre { type filter hook prerouting priority -150; %s; }"


def table(rule: str, name: str = "t", marking: str = "") -> str:
    """The text of a table whose input chain ends in a rule.

    :param rule: one or more, with semicolons between them.
    :param marking: a rule before the input hook.
    """
    made = MARKING % marking if marking else ""
    return TABLE.replace("NAME", name).replace("RULE", rule).replace("MARKING", made)


# The rule; whether the chain refuses what nothing picks out everywhere, and somewhere.
FORMS: list[tuple[str, bool, bool]] = [
    ("counter drop", True, True),
    ("reject with icmpx type admin-prohibited", True, True),
    ("goto logdrop", True, True),
    ('iifname "eth0" drop', False, True),
    ('iifname != "lo" jump logdrop', True, True),
    ("ct state != { established, related } drop", True, True),
    ("meta l4proto tcp reject with tcp reset", False, True),
    ("meta l4proto tcp reject with tcp reset; meta l4proto udp reject", True, True),
    ("meta l4proto { sctp, tcp, udp } drop", True, True),
    ("meta l4proto { igmp, sctp } drop", False, False),
    ("meta l4proto 6-17 drop", True, True),
    ("meta mark set 1 limit rate 1/second log; counter name c drop", True, True),
    # What is refused in the middle is refused, whatever the last rule says.
    ('iifname "eth0" jump logdrop; iifname "eth1" accept', False, True),
    ('iifname vmap { "lo" : accept, "eth0" : goto logdrop }', False, True),
    ('iifname vmap { "lo" : accept, "eth0" : accept }; drop', True, True),
    ("ct state vmap { established : accept, new : goto logdrop }", True, True),
    ("jump mixed; drop", False, False),
    ('iifname "eth*" drop', False, True),
    ("add @seen { ip saddr }; add @seen { ip saddr } drop", True, True),
    ("return; drop", False, False),
    ("meta nfproto ipv4 drop", False, True),
    ("ct state invalid drop", False, False),
    ("tcp dport 23 drop", False, False),
    ("meta l4proto icmp drop", False, False),
    ("goto mixed", False, False),
    # By bits.
    ("tcp flags & (fin|syn|rst|ack) == syn drop", False, True),
    ("tcp flags & (fin|syn|rst|ack) == syn drop; meta l4proto udp drop", True, True),
    ("tcp flags syn drop", False, True),
    ("tcp flags { syn, syn | ack } drop", False, True),
    ("tcp flags & (fin|syn|rst|ack) != syn ct state new drop", False, False),
    ("tcp flags & (fin|syn) == (fin|syn) drop", False, False),
    ("tcp flags & (fin|syn|rst|psh|ack|urg) == 0x0 drop", False, False),
    ("tcp flags syn limit rate over 10/second drop", False, False),
    ("ct state new drop", True, True),
    ("ct state new,untracked drop", True, True),
    ("ct state & (established|related) == 0 drop", True, True),
    ("ct state & (new|untracked) == 0 drop", False, False),
    ("ct direction original drop", True, True),
    ("ct direction reply drop", False, False),
    # By version and protocol.
    ("ip protocol { tcp, udp } drop", False, True),
    ("ip protocol { tcp, udp } drop; ip6 nexthdr { tcp, udp } drop", True, True),
    ("ip protocol tcp reject with tcp reset; ip protocol udp reject; meta nfproto ipv6 drop", True, True),
    ("ip protocol icmp drop", False, False),
    ("ip protocol != icmp drop", False, True),
    ("meta protocol ip drop", False, True),
    ("meta protocol { ip, ip6 } drop", True, True),
    ("meta protocol arp drop", False, False),
    ("meta nfproto { ipv4, ipv6 } drop", True, True),
    ("meta l4proto vmap { tcp : drop, udp : drop }", True, True),
    ("meta l4proto . ct state { tcp . new, udp . new } drop", True, True),
    ("meta l4proto tcp accept; meta l4proto udp accept; drop", False, False),
    ("ip protocol tcp accept; drop", False, True),
    # By where it goes to.
    ("fib daddr type local drop", True, True),
    ("fib daddr . iif type { local, broadcast } drop", True, True),
    ("fib daddr type != local drop", False, False),
    ("fib saddr . iif oif missing drop", False, False),
    ("ip daddr 0.0.0.0/0 drop", False, True),
    ("ip daddr != 192.0.2.1 drop", False, True),
    ("ip saddr 10.0.0.0/8 drop", False, False),
    # Every port, or every port but a few.
    ("tcp dport 1-65535 drop", False, True),
    ("th dport 0-65535 drop", True, True),
    ("tcp dport != { 22, 80 } drop", False, True),
    ("tcp dport 1024-65535 drop", False, False),
    ("tcp dport != 1024-65535 drop", False, False),
    # A limit for each element of a set refuses those alone who are over it.
    ("ct state new add @seen { ip saddr limit rate over 9/second } drop", False, False),
    ("ct state new add @seen { ip saddr ct count over 9 } drop", False, False),
    ("ct state new add @seen { ip saddr counter } drop", True, True),
    ("ct status dnat drop", False, False),
]

ACCEPTS, REFUSES = "accepts packets to any port", "refuses packets to any port under a condition alone"
# The same, and how a run says that packets to any port come in without a rule; and with a rule before the input hook.
UNCERTAIN: list[tuple[str, bool, bool, str]] = [
    # What nearly all packets meet accepts nearly all, and the rest is refused.
    ("limit rate 10/second accept; drop", False, True, ACCEPTS),
    ("meta mark 0 accept; drop", False, True, ACCEPTS),
    ("ip ttl > 1 accept; ip6 hoplimit > 1 accept; drop", False, True, ACCEPTS),
    ("tcp sport >= 1024 accept; udp sport >= 1024 accept; drop", False, True, ACCEPTS),
    ("ip saddr != 192.0.2.1 accept; drop", False, True, ACCEPTS),
    ("ip saddr != 10.0.0.0/8 goto mixed; drop", False, True, ACCEPTS),
    ("tcp dport != 22 accept; drop", False, True, ACCEPTS),
    ("meta l4proto . th dport != { tcp . 22, udp . 53 } accept; drop", False, True, ACCEPTS),
    ("meta length > 0 accept; drop", False, True, ACCEPTS),
    ("ct status != dnat accept; drop", False, True, ACCEPTS),
    ("ct count 20 accept; drop", False, True, ACCEPTS),
    ("add @seen { ip saddr limit rate 9/second } accept; drop", False, True, ACCEPTS),
    ("meta mark != 1 limit rate 10/second accept; drop", False, True, ACCEPTS),
    # The same, before drop.
    ("ip saddr != 192.0.2.1 drop", False, True, ""),
    ("ip saddr != { 10.0.0.0/8, 192.168.0.0/16 } drop; ip6 saddr != fd00::/8 drop", True, True, ""),
    ("ip saddr != @moving drop", False, True, ""),
    ("ip saddr 1.0.0.0-223.255.255.255 drop", False, True, ""),
    ("ip saddr >= 1.0.0.0 drop", False, True, ""),
    ("ip6 saddr 2000::/3 drop", False, True, ""),
    ("ip saddr != 10.0.0.0/8 jump logdrop", False, True, ""),
    ("meta mark != 1 drop", True, True, ""),
    ("meta mark & 0xff != 0x42 drop", True, True, ""),
    ("meta mark 0 drop", True, True, ""),
    ("meta l4proto . th dport != { tcp . 22, udp . 53 } drop", True, True, ""),
    ("ip saddr . tcp dport != @pairs drop", False, True, ""),
    ("meta length > 0 drop", True, True, ""),
    ("ct status != dnat drop", True, True, ""),
    ("ct status & dnat == 0 drop", True, True, ""),
    ("tcp sport 1024-65535 drop", False, True, ""),
    ("tcp sport >= 1024 drop; udp sport >= 1024 drop", True, True, ""),
    ("ip version 4 drop", False, True, ""),
    ("ip version 4 drop; ip6 version 6 drop", True, True, ""),
    ("ip ttl < 255 drop", False, True, REFUSES),
    ("fib saddr type unicast drop", True, True, ""),
    ("fib saddr . iif oif exists drop", True, True, ""),
    ("ether saddr != 00:11:22:33:44:55 drop", True, True, ""),
    # What first packets differ in may hold or not.
    ("tcp sport 32768-60999 drop; udp sport 32768-60999 drop", False, True, REFUSES),
    ("numgen random mod 2 == 0 drop", False, True, REFUSES),
    ("meta skuid 1000 drop", False, True, REFUSES),
    ("ip daddr 192.0.2.1 drop", False, True, REFUSES),
    ("ip daddr != 192.0.2.1 drop", False, True, REFUSES),
    ("jump slow", False, True, REFUSES),
    ("numgen random mod 2 == 0 accept; drop", True, True, ACCEPTS),
    ("ip daddr 192.0.2.1 accept; drop", True, True, ACCEPTS),
    ("ip ttl 64 accept; drop", True, True, ACCEPTS),
    # What picks out a few refuses a few, and beside a chain that refuses all others it accepts a few.
    ("ip saddr @moving drop", False, False, ""),
    ("ip saddr . tcp dport @pairs drop", False, False, ""),
    ("ip saddr vmap @gates", False, False, ""),
    ("ip saddr { 10.0.0.0/8, 127.0.0.0/8, 224.0.0.0/3 } drop", False, False, ""),
    ("ip daddr { 127.0.0.0/8, 224.0.0.0/4 } drop", False, False, ""),
    ("limit rate over 10/second drop", False, False, ""),
    ("ct count over 20 drop", False, False, ""),
    ("meta mark 1 drop", False, False, ""),
    ("fib saddr type { broadcast, multicast } drop", False, False, ""),
    ("tcp option maxseg size 1-535 drop", False, False, ""),
    ("ip frag-off & 0x1fff != 0 drop", False, False, ""),
    ("exthdr frag exists drop", False, False, ""),
    ("rt type 0 drop", False, False, ""),
    ("ip hdrlength != 5 drop", False, False, ""),
    ("ip ttl < 5 drop", False, False, ""),
    ("ip id 54321 drop", False, False, ""),
    ("icmp type echo-request limit rate over 1/second drop", False, False, ""),
    ("icmp type != echo-request drop", False, False, ""),
    ("udp sport 67-68 drop", False, False, ""),
    ("tcp sport != 1024-65535 drop", False, False, ""),
    ("limit rate 5/minute log; drop", True, True, ""),
    ("limit rate over 10/second drop; drop", True, True, ""),
    ("tcp dport 22 limit rate 3/minute accept; drop", True, True, ""),
    ("tcp dport 22 meta mark 1 accept; drop", True, True, ""),
    ("meta l4proto icmp limit rate 5/second accept; drop", True, True, ""),
    ("ip saddr 10.0.0.0/8 limit rate 5/second accept; drop", True, True, ""),
    ("meta mark 1 accept; drop", True, True, ""),
    ("ct mark & 0xff == 0x42 accept; drop", True, True, ""),
    ("socket transparent 1 accept; drop", True, True, ""),
    ('ct helper "ftp" accept; drop', True, True, ""),
    ("ct status dnat accept; drop", True, True, ""),
    ("meta iifgroup 5 accept; drop", True, True, ""),
    ("meta l4proto tcp ct original proto-dst 80 accept; drop", True, True, ""),
    ("ct original ip saddr 10.0.0.0/8 accept; drop", True, True, ""),
    ("ip saddr @moving accept; drop", True, True, ""),
]
# A rule before the input hook that sets marks, a rule of the input hook, and the rest as above.
MARKED: list[tuple[str, str, bool, bool, str]] = [
    ("meta mark set 1", "meta mark 1 drop", False, True, REFUSES),
    ('iifname "eth0" meta mark set 1', "meta mark 1 drop", False, True, REFUSES),
    ('iifname "eth0" ct mark set 1', "ct mark 1 accept; drop", True, True, ACCEPTS),
    ("ip saddr @moving meta mark set 1", "meta mark 1 drop", False, False, ""),
    ("tcp dport 1234 ct mark set 1; meta mark set ct mark", "meta mark 1 accept; drop", True, True, ""),
]
