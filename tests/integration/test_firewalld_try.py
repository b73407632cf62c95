from __future__ import annotations
import pytest, json, time
from hosts import Host, play
M="netports.apple.host_firewall"
@pytest.mark.hosts("firewalld")
def test_try(host: Host) -> None:
    prods = play(host, [{"name":"x","ansible.builtin.debug":{"msg":"{{ query('netports.apple.products') | map(attribute='id') | list }}"}}]).result(host,"debug")["msg"]
    print(len(prods))
    for i in range(3):
        t=time.time()
        with host.processes() as seen:
            p=play(host, role=M, variables={"host_firewall_products":prods,"host_firewall_confirm_seconds":0})
        r=p.result(host,M)
        print(host.suite, i, r["changed"], len(r["operations"]), r["warnings"] if "warnings" in r else p.text[-500:], "t=%.1f"%(time.time()-t), seen.names().most_common(8), [x.name for x in seen.below("python3")])
    print(len(host.kernel().splitlines()))
    assert 0
