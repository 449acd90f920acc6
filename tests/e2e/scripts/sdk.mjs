// Run by node: one check of the official TypeScript SDK by name, its outcome as JSON on stdout.
// Arguments: folder with node_modules, base URL, key, check, model. It prints facts; the test judges them.
import { pathToFileURL } from "node:url";
import path from "node:path";

const [root, baseURL, apiKey, check, model] = process.argv.slice(2);
const from = (file) => import(pathToFileURL(path.join(root, "node_modules/@anthropic-ai/sdk", file)).href);
const { default: Anthropic } = await from("index.mjs");
const { betaTool } = await from("helpers/beta/json-schema.mjs");

const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const asked = { model, max_tokens: 1000 };
const prompt = (text) => [{ role: "user", content: text }];
const inputSchema = {
  type: "object",
  properties: { city: { type: "string" }, days: { type: "integer" } },
  required: ["city"],
};
const weather = ({ city, days = 1 }) => `${city}: sunny for ${days} days`;

async function toolLoop(call, more = {}) {
  const tools = [{ name: "get_weather", description: "Weather of a city", input_schema: inputSchema }];
  const messages = prompt(more.thinking ? "[[WEATHER-THINKING]]" : "[[WEATHER]]");
  const answers = [];
  for (let turn = 0; turn < 5; turn++) {
    const message = await call({ ...asked, ...more, tools, messages });
    answers.push(message);
    if (message.stop_reason !== "tool_use") break;
    messages.push({ role: "assistant", content: message.content });
    const results = message.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: weather(block.input) }));
    messages.push({ role: "user", content: results.reverse() });
  }
  return { answers };
}

const checks = {
  create: async () => ({ message: await client.messages.create({ ...asked, messages: prompt("[[GREET]]") }) }),
  stream: async () => {
    const kinds = [];
    const stream = client.messages.stream({ ...asked, messages: prompt("[[GREET]]") });
    stream.on("streamEvent", (event) => kinds.push(event.type));
    return { message: await stream.finalMessage(), kinds };
  },
  tools: () => toolLoop((body) => client.messages.create(body)),
  tools_stream: () => toolLoop((body) => client.messages.stream(body).finalMessage()),
  thinking_stream: () =>
    toolLoop((body) => client.messages.stream(body).finalMessage(), {
      max_tokens: 4000,
      thinking: { type: "enabled", budget_tokens: 2000 },
    }),
  tool_runner: async () => {
    const tool = betaTool({ name: "get_weather", description: "Weather of a city", inputSchema, run: weather });
    const runner = client.beta.messages.toolRunner({ ...asked, messages: prompt("[[WEATHER]]"), tools: [tool] });
    const answers = [];
    for await (const message of runner) answers.push(message);
    return { answers };
  },
  refused: async () => {
    try {
      await client.messages.create({ ...asked, messages: prompt("[[REFUSE-BUSY]]") });
    } catch (error) {
      return {
        kind: error.constructor.name,
        status: error.status,
        body: error.error,
        retry_after: error.headers.get("retry-after"),
      };
    }
    return { kind: "none" };
  },
  broken_stream: async () => {
    try {
      const message = await client.messages.stream({ ...asked, messages: prompt("[[BREAK]]") }).finalMessage();
      return { kind: "none", text: JSON.stringify(message.content) };
    } catch (error) {
      return { kind: error.constructor.name, words: String(error) };
    }
  },
};

console.log(JSON.stringify(await checks[check]()));
