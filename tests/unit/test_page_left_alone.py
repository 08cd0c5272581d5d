"""A page that nobody touches asks the box less often, and at its pace again at the first touch."""

import json
import shutil
import subprocess

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
const { poll } = await import("./poll.mjs");
poll(() => "/api/state", 1000, () => {});
const settle = () => new Promise((done) => setImmediate(done));
await settle();
for (const atMs of [30000, 61000, 61500]) {
  nowMs = atMs;
  if (atMs === 61500) heard.pointerdown();
  await turn();
  await settle();
}
console.log(JSON.stringify(pauses));
"""


def test_it_asks_less_often_until_somebody_touches_it(tmp_path):
    shutil.copy(STATIC_DIR / "poll.js", tmp_path / "poll.mjs")
    (tmp_path / "run.mjs").write_text(SCRIPT)
    done = subprocess.run(
        ["node", "run.mjs"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1000, 1000, 4000, 1000]
