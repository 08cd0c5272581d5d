"""A store that gives files in ranges, and what a test scripts: cuts, refusals, whole files."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class BundleStore:
    """`files` by path. `cut_after`: bytes of an answer after which the line breaks, once each."""

    def __init__(self):
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                store.answer(self)

            def log_message(self, *_):
                pass

        self.files, self.cut_after, self.asked, self.given_bytes = {}, [], [], 0
        self.status, self.knows_ranges = 0, True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, handler):
        body, told = self.files[handler.path], handler.headers.get("Range")
        self.asked.append((handler.path, told))
        if self.status:
            handler.send_response(self.status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        status = 200
        if told and self.knows_ranges:
            start, end = told.removeprefix("bytes=").split("-")
            body, status = body[int(start) : int(end) + 1], 206
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        cut = self.cut_after.pop(0) if self.cut_after else len(body)
        handler.wfile.write(body[:cut])
        self.given_bytes += len(body[:cut])
        handler.close_connection = cut < len(body)
