# SPDX-License-Identifier: MIT
"""A download and an upload through SOCKS of which every byte is known, while something happens to the network."""
import threading
import time

from ground import STILL_MAX, Failed, check, until
from streams import Download, TcpServer, send_pattern, serve_pattern, socks_connect

PROXY = ("127.0.0.1", 1080)
SOURCE, SINK = 5, 6


class Sink:
    """A service that checks what it is sent, and the client that sends."""

    def __init__(self, namespace, address):
        self.downloads = []
        self.server = TcpServer(namespace, address, self.serve)

    def serve(self, sock):
        download = Download(sock)
        self.downloads.append(download)
        download.thread.join()


def serve_traffic(namespace):
    """Both services in a node's namespace: what its configuration says of them, and the sink."""
    TcpServer(namespace, ("127.0.0.1", SOURCE), serve_pattern)
    sink = Sink(namespace, ("127.0.0.1", SINK))
    return {name: {"local_address": f"127.0.0.1:{port}"} for name, port in (("source", SOURCE), ("sink", SINK))}, sink


class Traffic:
    """A download and an upload of one node, from and to the host's services. least: bytes each way until it is taken as running."""

    def __init__(self, node, sink, host="home", least=1 << 20):
        self.node = node
        self.down = Download(socks_connect(node.namespace, PROXY, f"source.{host}.demo", SOURCE))
        count = len(sink.downloads)
        self.up_sock = socks_connect(node.namespace, PROXY, f"sink.{host}.demo", SINK)
        threading.Thread(target=self.send, daemon=True).start()
        until(lambda: len(sink.downloads) > count, "the upload arrives")
        self.up = sink.downloads[-1]
        until(lambda: self.up.count() > least and self.down.count() > least, "both directions run", 20)
        time.sleep(0.5)

    def send(self):
        try:
            send_pattern(self.up_sock)
        except OSError:
            pass

    def gaps(self, begin, end):
        """{"download": seconds, "upload": seconds}: the longest without a byte between two points of time."""
        for stream in (self.down, self.up):
            stream.must_run()
        return {name: stream.longest_gap(begin, end) for name, stream in (("download", self.down), ("upload", self.up))}

    def survives(self, ground, what, change, seconds=2.5, pause=0.0):
        """change() at some moment: each direction is on again within STILL_MAX after it (and a pause that it took), and is seconds later. The longer of
        the two gaps."""
        ground.step(f"{self.node.name}: {what}")
        begin = time.monotonic()
        change()
        time.sleep(seconds)
        self.goes_on(what, time.monotonic())
        gaps = {name: max(gap - pause, 0) for name, gap in self.gaps(begin, time.monotonic()).items()}
        for name, gap in gaps.items():
            ground.step(f"    {name}: a gap of {gap * 1000:.0f} ms" + (f" beyond {pause:.0f} s" if pause else ""))
            check(gap < STILL_MAX, f"{what}: the {name} stood still for {gap:.2f} s")
        return max(gaps.values())

    def goes_on(self, what, since):
        """A byte in each direction after a point of time, or one of them has ended."""
        streams = (self.down, self.up)
        until(lambda: any(stream.is_over for stream in streams) or all(stream.marks[-1][0] > since for stream in streams),
              f"{what}: both directions go on", STILL_MAX)

    def stop(self):
        self.down.stop()
        self.up_sock.close()
        self.up.thread.join(5)
        if isinstance(self.up.error, Failed):
            raise self.up.error
