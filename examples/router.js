// A router of the classic kind: "CUSTOM_ROUTER_PATH": "router.js". Needs `node` on the PATH.

module.exports = async function router(req, config) {
  const last = req.body.messages.at(-1).content;
  const text = typeof last === "string" ? last : last.map((block) => block.text ?? "").join(" ");
  if (text.includes("#local")) {
    req.log.info(`session ${req.sessionId}: ${req.tokenCount} tokens stay here`);
    return "local,small";
  }
  return null;
};
