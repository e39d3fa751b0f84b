// Makes graphiql.html.gz, one page with everything in it, of the packages of the lock file: `npm ci && node make.mjs`.
// With --check it says whether the committed page is that one.
import { readFileSync, writeFileSync } from "node:fs";
import { gunzipSync, gzipSync } from "node:zlib";

const here = (path) => new URL(path, import.meta.url);
const read = (path) => readFileSync(here(`node_modules/${path}`), "utf8").trim();
const names = ["react", "react-dom", "graphql-ws", "graphiql"];
const version = (name) => JSON.parse(read(`${name}/package.json`)).version;
const licence = (name) => read(`${name}/${name === "graphql-ws" ? "LICENSE.md" : "LICENSE"}`).replaceAll("--", "- -");
// A script ends at the first such tag, whatever quotes are around it; a map would be looked for elsewhere.
const script = (path) =>
  `<script>${read(path).replace(/^\/\/# sourceMappingURL=.*$/m, "").replaceAll("</script", "<\\/script")}</script>`;

const page = `<!doctype html>
<!-- Made by make.mjs of ${names.map((name) => `${name} ${version(name)}`).join(", ")}.
${names.map((name) => `${name}: ${licence(name)}`).join("\n\n")}
-->
<html lang="en">
<head>
<meta charset="utf-8">
<title>tokenx GraphiQL</title>
<style>html, body, #page { height: 100%; margin: 0 }</style>
<style>${read("graphiql/graphiql.min.css")}</style>
</head>
<body>
<div id="page">Loading</div>
${script("react/umd/react.production.min.js")}
${script("react-dom/umd/react-dom.production.min.js")}
${script("graphql-ws/umd/graphql-ws.min.js")}
${script("graphiql/graphiql.min.js")}
<script>
// Subscriptions take the authorization of the headers' editor, as queries do; it is read when a socket is opened.
let headers = {};
const url = new URL("graphql", location.origin);
const socket = Object.assign(new URL(url), { protocol: location.protocol.replace("http", "ws") });
const wsClient = graphqlWs.createClient({ url: socket.href, connectionParams: () => headers });
const inner = GraphiQL.createFetcher({ url: url.href, wsClient });
const fetcher = (query, options) => {
  const sent = options?.headers ?? {};
  if (JSON.stringify(sent) !== JSON.stringify(headers)) wsClient.terminate();
  headers = sent;
  return inner(query, options);
};
const defaultQuery = "{\\n  tokens {\\n    nodes {\\n      instrumentId\\n      totalSupply\\n    }\\n  }\\n}\\n";
const root = ReactDOM.createRoot(document.getElementById("page"));
root.render(React.createElement(GraphiQL, { fetcher, defaultQuery, defaultEditorToolsVisibility: "headers", shouldPersistHeaders: false }));
</script>
</body>
</html>
`;

const path = here("graphiql.html.gz");
if (process.argv.includes("--check")) {
  if (gunzipSync(readFileSync(path)).toString() !== page) {
    console.error("api/graphiql/graphiql.html.gz is old: npm ci && node make.mjs");
    process.exit(1);
  }
} else {
  writeFileSync(path, gzipSync(page, { level: 9 }));
}
