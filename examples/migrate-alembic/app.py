#!/usr/bin/python3
"""The shop: it lists its orders, and is healthy as long as it can."""
import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What the build installed for this release.
sys.path.insert(0, str(HERE / "packages"))
import psycopg2  # noqa: E402

RELEASE = (HERE / "VERSION").read_text().strip()


def orders() -> list[dict]:
    connection = psycopg2.connect(os.environ["DATABASE_URL"], connect_timeout=2)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, item FROM orders ORDER BY id LIMIT 100")
            return [{"id": id, "item": item} for id, item in cursor]
    finally:
        connection.close()


class Shop(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        try:
            match self.path:
                case "/api/v1/version":
                    self.answer(200, {"version": RELEASE})
                case "/orders":
                    self.answer(200, orders())
                case "/health/ready":
                    orders()
                    self.answer(200, {"status": "healthy"})
                case _:
                    self.answer(404, {})
        except psycopg2.Error as error:
            print(error, file=sys.stderr)
            self.answer(503, {"status": "degraded"})

    def answer(self, status: int, what: object) -> None:
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


address, port = os.environ["LISTEN"].split(":")
ThreadingHTTPServer((address, int(port)), Shop).serve_forever()
