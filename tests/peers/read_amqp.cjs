// Reads a queue until it is empty for two seconds; one JSON line for each message.
// node read_amqp.cjs <folder of rhea> <port> <user> <secret> <address>
const path = require("node:path");

const [folder, port, username, password, address] = process.argv.slice(2);
const rhea = require(path.join(folder, "node_modules", "rhea"));
const container = rhea.create_container();
let last = Date.now();

container.on("message", (context) => {
  const message = context.message;
  last = Date.now();
  const line = {
    durable: message.durable,
    message_id: message.message_id,
    subject: message.subject,
    reply_to: message.reply_to,
    content_type: String(message.content_type),
    application_properties: message.application_properties,
    body: message.body.content.toString("utf8"),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
});
container.on("disconnected", () => process.exit(3));
container.on("connection_error", () => process.exit(4));

const connection = container.connect({
  host: "127.0.0.1",
  port: Number(port),
  username,
  password,
  reconnect: false,
});
connection.open_receiver({ source: { address, durable: 1 }, credit_window: 200 });
setInterval(() => {
  if (Date.now() - last > 2000) {
    container.removeAllListeners("disconnected");
    connection.close();
    setTimeout(() => process.exit(0), 200);
  }
}, 200);
