// The seed's stack: Express 5, ws, jsonwebtoken, bcrypt. node node.js unix:PATH|tcp:PORT
import { createServer } from "node:http";
import bcrypt from "bcrypt";
import express from "express";
import { WebSocketServer } from "ws";
import { createContract } from "./contract.js";

const COST = 4; // as low as ours in the bench
const wss = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 65536 });
const AS_TEXT = { binary: false };

// One buffer for all of them: ws puts a header in front of it, and does not copy it.
function sendAll(text, but) {
	const bytes = Buffer.from(text);
	for (const socket of wss.clients)
		if (socket !== but && socket.readyState === socket.OPEN)
			socket.send(bytes, AS_TEXT);
}

const contract = createContract({
	sendAll,
	send: (socket, text) => socket.send(text),
	hash: (password) => bcrypt.hash(password, COST),
	compare: bcrypt.compare,
});

const app = express();
app.disable("x-powered-by");
app.set("etag", false); // hashing every answer is work that nobody has asked for here

function signedIn(req, res, next) {
	const [scheme, token] = (req.headers.authorization ?? "").split(" ");
	req.user = scheme === "Bearer" ? contract.whoHas(token) : undefined;
	if (req.user)
		next();
	else
		res.status(401).json({ code: "invalid_token" });
}
const reply = (res, { status, body }) => res.status(status).json(body);

app.post("/auth/register", express.json(), async (req, res) => reply(res, await contract.register(req.body ?? {})));
app.post("/auth/login", express.json(), async (req, res) => reply(res, await contract.login(req.body ?? {})));
app.get("/doctors", signedIn, (req, res) => res.type("json").send(contract.listDoctors()));
app.post("/doctors/status", express.json(), signedIn, (req, res) => reply(res, contract.postStatus(req.user, req.body ?? {})));

const server = createServer(app);
server.keepAliveTimeout = 60_000;
server.on("upgrade", (req, socket, head) => {
	const url = new URL(req.url, "http://localhost");
	const user = url.pathname === "/ws" ? contract.whoHas(url.searchParams.get("token")) : undefined;
	if (!user) {
		socket.end("HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
		return;
	}
	wss.handleUpgrade(req, socket, head, (ws) => {
		ws.user = user;
		ws.on("message", (data) => contract.received(ws, data));
		ws.on("close", () => contract.disconnected(ws));
		ws.on("error", () => ws.terminate());
		contract.connected(ws);
	});
});

const [, kind, where] = process.argv[2].match(/^(unix|tcp):(.*)$/);
const listen = kind === "unix" ? { path: where } : { host: "127.0.0.1", port: Number(where) };
server.listen({ ...listen, backlog: 4096 }, () => console.log("ready"));
