"use strict";
// Runs one JavaScript module, a transformer or a custom router of the classic router, for ccrouter.
//
//   node bridge.js CHANNEL MODULE
//
// CHANNEL is the number of an open file descriptor that lines of JSON go both ways through, or "stdio". Each line of
// the router's has an `id` and an `op`; what is answered has the same `id`. Ends when the channel does.

const { EventEmitter } = require("node:events");
const { createRequire } = require("node:module");
const net = require("node:net");
const { pathToFileURL } = require("node:url");
const { format } = require("node:util");

const [channelName, modulePath] = process.argv.slice(2);
const calls = new Map();
const instances = [];
let exported;

// -- the channel --------------------------------------------------------------------------------------------------------

let write;
function openChannel() {
  if (channelName === "stdio") {
    write = process.stdout.write.bind(process.stdout);
    process.stdout.write = process.stderr.write.bind(process.stderr); // what modules print is not for the channel
    listen(process.stdin);
  } else {
    const channel = new net.Socket({ fd: Number(channelName), readable: true, writable: true });
    write = channel.write.bind(channel);
    listen(channel);
  }
}

function listen(input) {
  let begun = [];
  input.on("data", (chunk) => {
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10)) {
      const line = Buffer.concat([...begun, chunk.subarray(0, end)]);
      begun = [];
      chunk = chunk.subarray(end + 1);
      receive(JSON.parse(line.toString("utf8")));
    }
    if (chunk.length) begun.push(chunk);
  });
  input.on("end", () => process.exit(0));
  input.on("error", () => process.exit(0));
}

function send(message) {
  write(JSON.stringify(message) + "\n");
}

function failure(error) {
  const isError = error instanceof Error || (error && typeof error === "object" && "message" in error);
  const name = isError && error.name ? error.name : "Error";
  const message = isError ? String(error.message) : format("%o", error);
  return { message: whole(`${name}: ${message}`), stack: whole(String((isError && error.stack) || message), 20000) };
}

// No half of a surrogate pair: strict readers of JSON refuse it.
function whole(text, most = 4000) {
  return Buffer.from(text.slice(0, most)).toString();
}

const logger = { child: () => logger };
for (const level of ["trace", "debug", "info", "warn", "error", "fatal"]) {
  logger[level] = (...words) => send({ log: level, text: whole(format(...words)) });
}

// -- what the router asks -----------------------------------------------------------------------------------------------

const operations = { load, make, route, request, response };

async function receive(message) {
  const { id, op } = message;
  if (op in signals) return signals[op](message);
  try {
    send({ id, result: await operations[op](message) });
  } catch (error) {
    calls.delete(id);
    send({ id, error: failure(error) });
  }
}

async function load() {
  if (typeof Response !== "function") throw new Error(`Node.js 18 or later is needed, this is ${process.version}`);
  const resolve = createRequire(modulePath).resolve;
  const file = resolve(modulePath);
  try {
    exported = require(file);
  } catch (error) {
    if (error.code !== "ERR_REQUIRE_ESM" && error.code !== "ERR_REQUIRE_ASYNC_MODULE") throw error;
    exported = await import(pathToFileURL(file).href);
  }
  if (typeof exported !== "function" && exported && typeof exported.default === "function") exported = exported.default;
  if (typeof exported !== "function") throw new TypeError(`it exports ${typeof exported}, not a class or a function`);
  return { file };
}

async function make({ options }) {
  const instance = new exported(options);
  instance.logger = logger;
  instances.push(instance);
  const hooks = ["transformRequestIn", "transformResponseOut", "auth"].filter((hook) => isFunction(instance[hook]));
  const name = instance.name ?? exported.TransformerName ?? null;
  return { handle: instances.length - 1, name, hooks, endPoint: instance.endPoint ?? null };
}

async function route({ request, config }) {
  const chosen = await exported({ ...request, log: logger }, config, { event: new EventEmitter() });
  return chosen || null;
}

async function request({ handle, body, provider, context }) {
  const instance = instances[handle];
  let config = {};
  for (const hook of ["transformRequestIn", "auth"]) {
    if (!isFunction(instance[hook])) continue;
    const given = await instance[hook](body, provider, { req: { ...context, log: logger } });
    if (given === undefined || given === null) throw new TypeError(`${hook} returned nothing`);
    if (given.body) {
      const headers = { ...config.headers, ...plain(given.config?.headers) };
      config = { ...config, ...given.config, headers };
      body = given.body;
    } else {
      body = given;
    }
  }
  const headers = {};
  for (const [name, value] of Object.entries(config.headers ?? {})) {
    headers[name] = value === undefined || value === null || value === "undefined" ? "" : String(value);
  }
  return { body, url: config.url === undefined || config.url === null ? null : String(config.url), headers };
}

function plain(headers) {
  return headers instanceof Headers ? Object.fromEntries(headers.entries()) : headers;
}

async function response({ id, handle, status, headers, context }) {
  const call = { arrived: null, controller: null, reader: null };
  calls.set(id, call);
  const source = new ReadableStream(
    {
      start: (controller) => void (call.controller = controller),
      pull: () =>
        new Promise((resolve) => {
          call.arrived = resolve;
          send({ id, pull: true });
        }),
    },
    { highWaterMark: 0 },
  );
  const given = new Response(source, { status, headers });
  const back = await instances[handle].transformResponseOut(given, { req: { ...context, log: logger } });
  if (!(back instanceof Response)) throw new TypeError("transformResponseOut returned no Response");
  call.reader = back.body ? back.body.getReader() : null;
  return { status: back.status };
}

function isFunction(value) {
  return typeof value === "function";
}

// -- what goes on within a call -----------------------------------------------------------------------------------------

const signals = {
  ping: ({ id }) => send({ id, result: "pong" }),

  // A piece of the provider's answer, asked for by `pull`; none at its end; `error` if it broke.
  chunk({ id, data, error }) {
    const call = calls.get(id);
    if (!call) return;
    try {
      if (error) call.controller.error(new Error(error));
      else if (data === null) call.controller.close();
      else call.controller.enqueue(new Uint8Array(Buffer.from(data, "base64")));
    } catch {
      // the module has cancelled the stream: it wants no more of it
    }
    call.arrived?.();
  },

  // The router wants the next piece of the module's answer.
  async more({ id }) {
    const call = calls.get(id);
    if (!call) return;
    try {
      const { done, value } = call.reader ? await call.reader.read() : { done: true };
      if (done) {
        calls.delete(id);
        send({ id, end: true });
        return;
      }
      if (typeof value !== "string" && !(value instanceof Uint8Array)) {
        throw new TypeError(`the answer's body holds ${typeof value}, not bytes`);
      }
      send({ id, chunk: Buffer.from(value).toString("base64") });
    } catch (error) {
      calls.delete(id);
      send({ id, error: failure(error) });
    }
  },

  // Nobody wants this answer any more.
  cancel({ id }) {
    const call = calls.get(id);
    if (!call) return;
    calls.delete(id);
    const gone = new Error("the client hung up");
    call.reader?.cancel(gone).catch((error) => logger.debug(error));
    try {
      call.controller.error(gone);
    } catch {
      // it has ended already
    }
    call.arrived?.();
  },
};

process.on("unhandledRejection", (error) => logger.error("unhandled rejection: %s", failure(error).stack));
process.on("uncaughtException", (error) => logger.error("uncaught exception: %s", failure(error).stack));
openChannel();
