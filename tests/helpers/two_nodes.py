"""Hold a Ray cluster of two nodes with one CPU each until the standard input ends: `python two_nodes.py`.

Both are of this machine, and listen on 127.0.0.1 alone. The first line that it prints is the address.
"""

from __future__ import annotations

import sys
import tempfile

from ray.cluster_utils import Cluster

from unvanish.jobs import compat


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="nodes-", ignore_cleanup_errors=True) as folder,
        compat.on_this_machine_only(),
    ):
        place = {"temp_dir": folder, "node_ip_address": "127.0.0.1"}
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, **place})
        cluster.add_node(num_cpus=1, **place)
        print(cluster.address, flush=True)
        sys.stdin.read()
        cluster.shutdown()


if __name__ == "__main__":
    main()
