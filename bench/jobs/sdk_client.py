"""Drain the official SDK: sdk_client.py WORK ROWS

Starts sdk_server.py, calls Schema and Update, takes the messages as bytes without parsing them, and has no
destination: the least that anything behind that SDK can cost. Prints JSON.
"""

import json
import os
import socket
import subprocess
import sys
import time

started = time.perf_counter()
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
server = subprocess.Popen(
    [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "sdk_server.py")]
    + [str(port), *sys.argv[1:3]],
    stdout=subprocess.DEVNULL,
)
try:
    import grpc

    from fivetran_connector_sdk.protos import connector_sdk_pb2 as pb

    channel = grpc.insecure_channel(
        "127.0.0.1:%d" % port, options=[("grpc.max_receive_message_length", 128 << 20)]
    )
    grpc.channel_ready_future(channel).result(timeout=60)
    service = "/fivetran_sdk.v2.SourceConnector/"
    channel.unary_unary(
        service + "Schema",
        request_serializer=pb.SchemaRequest.SerializeToString,
        response_deserializer=None,
    )(pb.SchemaRequest())
    update = channel.unary_stream(
        service + "Update",
        request_serializer=pb.UpdateRequest.SerializeToString,
        response_deserializer=None,
    )
    begun = last = time.perf_counter()
    messages = size = 0
    for message in update(pb.UpdateRequest(state_json="{}")):
        last = time.perf_counter()
        messages += 1
        size += len(message)
finally:
    server.terminate()
    server.wait()
# The SDK closes the stream up to a second after the last message: given apart.
print(
    json.dumps(
        {
            "start_s": round(begun - started, 3),
            "emission_s": round(last - begun, 3),
            "messages": messages,
            "bytes": size,
        }
    )
)
