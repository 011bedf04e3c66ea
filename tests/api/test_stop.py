"""What becomes of requests when the server stops."""

import http.client
import threading
import time

from conftest import Server


def test_streams_end_and_idle_connections_close(bin_dir, tmp_path):
    server = Server(tmp_path / "data", bin_dir).start()
    idle = server.client()
    assert idle.get("/v1/groups").status == 200
    stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    stream.request("GET", "/v1/events", headers={"Authorization": "Basic " + server.key})
    answer = stream.getresponse()
    assert answer.readline().startswith(b":")
    rest = []
    reader = threading.Thread(target=lambda: rest.append(answer.read()))
    reader.start()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 8
    reader.join(10)
    assert rest and not reader.is_alive(), "the stream did not end in order"


def test_what_was_answered_is_there_after_a_restart(bin_dir, tmp_path):
    server = Server(tmp_path / "data", bin_dir).start()
    made = server.client().post("/v1/groups", {"name": "kept"})
    server.kill()
    server.start()
    assert server.client().get("/v1/groups/" + made.data["id"]).data["name"] == "kept"
    assert server.stop() == 0
