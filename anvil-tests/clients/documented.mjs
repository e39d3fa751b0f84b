// Runs the documented queries against a dev stack as a dapp would, with graphql-request and graphql-ws: BASE_URL and
// TOKEN say where and as whom. Prints what each one answered, as one line of JSON.
import { readFile, readdir } from "node:fs/promises";
import { GraphQLClient } from "graphql-request";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const examples = new URL("../../api/examples/", import.meta.url);
const { BASE_URL: base, TOKEN: token } = process.env;
const authorization = `Bearer ${token}`;
const client = new GraphQLClient(`${base}/graphql`, { headers: { authorization } });

const documents = {};
for (const file of await readdir(examples)) {
  documents[file.replace(".graphql", "")] = await readFile(new URL(file, examples), "utf8");
}
const subscription = documents["new-transfers"];
delete documents["new-transfers"];

const { _meta: meta, holdings } = await client.request(
  "{ _meta { block { number } } holdings(first: 1) { nodes { wallet } } }",
);
const variables = { block: meta.block.number - 1, wallet: holdings.nodes[0].wallet };

const answers = {};
for (const [name, document] of Object.entries(documents)) {
  const known = Object.entries(variables).filter(([variable]) => document.includes(`$${variable}`));
  answers[name] = await client.request(document, Object.fromEntries(known));
}

const socket = createClient({
  url: `${base.replace("http", "ws")}/graphql`,
  webSocketImpl: WebSocket,
  connectionParams: { authorization },
  lazy: false,
});
const news = socket.iterate({ query: subscription });
const first = news.next();
// The subscription has begun once a query behind it on the same socket is answered.
for await (const _ of socket.iterate({ query: "{ __typename }" })) break;
const command = `client-${Date.now()}`;
const minted = await fetch(`${base}/api/admin/mint`, {
  method: "POST",
  headers: { authorization, "content-type": "application/json" },
  body: JSON.stringify({ command_id: command, instrument_id: "rCC", party_id: "alice::122...", amount: "7.0" }),
});
if (!minted.ok) throw new Error(`mint: ${minted.status} ${await minted.text()}`);
for (let told = await first; ; told = await news.next()) {
  if (told.done || told.value.errors) throw new Error(`the news ended: ${JSON.stringify(told)}`);
  const { kind, transfer } = told.value.data.newTransfer;
  if (transfer.commandId !== command) continue;
  answers["new-transfers"] = { kind, amount: transfer.amount };
  break;
}
await news.return();
await socket.dispose();

let refused;
try {
  await client.request("{ tokens { nodes { nothing } } }");
} catch (error) {
  refused = error.response.status;
}
console.log(JSON.stringify({ ...answers, refused }));
