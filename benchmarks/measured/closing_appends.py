"""Appends to a day's file, 20 times a second: ``python closing_appends.py <endpoint> <container> <folder>``.

A number on standard input says for how many seconds; the p99 of the requests' times is printed then.
"""

from __future__ import annotations

import datetime
import json
import sys
import time
import uuid

import azure.storage.blob

ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's
ROWS, PAUSE = 50, 0.05

endpoint, container, folder = sys.argv[1:]
blob = azure.storage.blob.BlobClient(endpoint, container, f"{folder}/data.csv", credential=ACCOUNT_KEY)
blob.create_append_blob()
header = b"$Timestamp,$CorrelationId,$RequestId,age,income\r\n"
blob.append_block(header)
position = len(header)
for line in sys.stdin:
    times = []
    until = time.monotonic() + float(line)
    while time.monotonic() < until:
        now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        rows = "".join(f"{now},{each},{each},34,1234.5\r\n" for each in (uuid.uuid4() for _ in range(ROWS))).encode()
        begin = time.monotonic()
        blob.append_block(rows, appendpos_condition=position)
        times.append(time.monotonic() - begin)
        position += len(rows)
        time.sleep(PAUSE)
    print(json.dumps({"p99": sorted(times)[int(len(times) * 0.99)], "count": len(times)}), flush=True)
