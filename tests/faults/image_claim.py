"""Runs inside the booted box: claim it with its label, give a technician's key, tell the answers.

Standard library only: the box's own Python has no more. Arguments: the secret, the public key.
"""

import http.client
import json
import re
import ssl
import sys
from urllib.parse import urlencode


def ask(path, cookie="", **fields):
    link = http.client.HTTPSConnection(
        "127.0.0.1",
        8470,
        context=ssl._create_unverified_context(),  # its own certificate
        timeout=300,
    )
    told = {"Origin": "https://127.0.0.1:8470", "Cookie": cookie}
    told["Content-Type"] = "application/x-www-form-urlencoded"
    link.request("POST" if fields else "GET", path, urlencode(fields) if fields else None, told)
    answer = link.getresponse()
    return answer, answer.read().decode()


def main(secret, key):
    person = {"code": "", "name": "kim", "password": "correct horse battery"}
    claimed, _ = ask("/claim", secret=secret, **person)
    cookie = (claimed.getheader("Set-Cookie") or "").partition(";")[0]
    _, page = ask("/service", cookie)
    csrf = re.search('name="csrf" value="([^"]+)"', page)
    given, _ = ask("/service/shell", cookie, csrf=csrf[1] if csrf else "", key=key, hours="1")
    again, _ = ask("/claim", secret=secret, **person)  # nobody is there any more
    answers = {"claimed": claimed.status, "shell": given.status, "again": again.status}
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
