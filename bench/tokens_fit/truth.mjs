// Count every piece with a real tokenizer: node truth.mjs pieces.jsonl > counts.jsonl
// Run it where `npm install gpt-tokenizer @anthropic-ai/tokenizer` was run (never inside the repository).
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const need = createRequire(join(process.cwd(), "x.js"));
const o200k = need("gpt-tokenizer/encoding/o200k_base");
const ranks = need("gpt-tokenizer/cjs/bpeRanks/o200k_base").default;
const sizes = ranks.map((entry) => (typeof entry === "string" ? Buffer.byteLength(entry) : entry.length));
const claude2 = need("@anthropic-ai/tokenizer").getTokenizer();

for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  if (!line) continue;
  const { text } = JSON.parse(line);
  const plain = o200k.encode(text, { disallowedSpecial: new Set() });
  const escaped = o200k.encode(JSON.stringify(text), { disallowedSpecial: new Set() }).length;
  const old = claude2.encode(text.normalize("NFKC"), [], []).length;
  const lengths = plain.map((token) => sizes[token]);
  console.log(JSON.stringify({ o200k: plain.length, o200k_escaped: escaped, claude2: old, lengths }));
}
