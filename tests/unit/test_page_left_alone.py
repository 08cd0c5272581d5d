"""A front page that nobody touches rests, and asks again at once at the first touch."""

import json
import shutil
import subprocess

import pytest

from agent.local.web.pages import STATIC_DIR

SCRIPT = """
const heard = {}, pauses = [];
let nowMs = 0, turn = null;
globalThis.addEventListener = (kind, listener) => { heard[kind] = listener; };
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };
globalThis.performance = { now: () => nowMs };
globalThis.setTimeout = (next, ms) => { turn = next; pauses.push(ms); return 1; };
globalThis.clearTimeout = () => {};
globalThis.fetch = async () => ({ ok: true, json: async () => ({}) });
const { isResting, poll, restWhenAlone } = await import("./poll.mjs");
const rests = [];
if (process.argv[2] === "front") restWhenAlone();
poll(() => "/api/state", 1000, () => {});
const settle = () => new Promise((done) => setImmediate(done));
await settle();
for (const atMs of [30000, 61000]) {
  nowMs = atMs;
  await turn();
  await settle();
  rests.push(isResting());
}
nowMs = 61500;
heard.pointerdown(); // it does not wait for the pause to be over
await settle();
console.log(JSON.stringify({ pauses, rests }));
"""


@pytest.mark.parametrize(
    ("page", "pauses"), [("front", [1000, 1000, 10000, 1000]), ("aim", [1000, 1000, 1000])]
)
def test_the_front_page_alone_rests_until_somebody_touches_it(tmp_path, page, pauses):
    shutil.copy(STATIC_DIR / "poll.js", tmp_path / "poll.mjs")
    (tmp_path / "run.mjs").write_text(SCRIPT)
    done = subprocess.run(
        ["node", "run.mjs", page],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"pauses": pauses, "rests": [False, page == "front"]}
