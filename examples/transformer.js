// A transformer of the classic kind: "transformers": [{ "path": "transformer.js", "options": { "team": "search" } }],
// and "shouting" in a provider's `use`. Needs `node` on the PATH.

class Shouting {
  name = "shouting";

  constructor(options) {
    this.options = options;
  }

  // The request, in the words of the provider: Chat Completions unless its URL says otherwise.
  async transformRequestIn(request, provider) {
    this.logger.debug(`for ${provider.name}`);
    return {
      body: { ...request, user: this.options.team },
      config: { headers: { "x-team": this.options.team } },
    };
  }

  // The answer, as it streams or whole.
  async transformResponseOut(response) {
    if (!response.headers.get("content-type")?.includes("text/event-stream")) {
      const answer = await response.json();
      for (const choice of answer.choices) choice.message.content = choice.message.content?.toUpperCase();
      return new Response(JSON.stringify(answer), { status: response.status, headers: response.headers });
    }
    let rest = "";
    const shout = new TransformStream({
      transform(text, controller) {
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        for (const line of lines) controller.enqueue(`${this.shouted(line)}\n`);
      },
      flush(controller) {
        if (rest) controller.enqueue(this.shouted(rest));
      },
      shouted(line) {
        if (!line.startsWith("data: {")) return line;
        const chunk = JSON.parse(line.slice(6));
        const delta = chunk.choices?.[0]?.delta;
        if (delta?.content) delta.content = delta.content.toUpperCase();
        return `data: ${JSON.stringify(chunk)}`;
      },
    });
    const body = response.body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(shout)
      .pipeThrough(new TextEncoderStream());
    return new Response(body, { status: response.status, headers: response.headers });
  }
}

module.exports = Shouting;
