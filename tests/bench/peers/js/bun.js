// Bun's own server, its native publish and its own bcrypt. bun bun.js unix:PATH|tcp:PORT
import { createContract } from "./contract.js";

const HASHING = { algorithm: "bcrypt", cost: 4 }; // as low as ours in the bench

// Each connection is subscribed to "all"; a connection's own publish goes to all others.
const contract = createContract({
	sendAll: (text, but) => (but ? but.socket.publish("all", text) : server.publish("all", text)),
	send: (connection, text) => connection.socket.send(text),
	hash: (password) => Bun.password.hash(password, HASHING),
	compare: (password, hash) => Bun.password.verify(password, hash),
});

const reply = ({ status, body }) => Response.json(body, { status });

function signedIn(req) {
	const authorization = req.headers.get("authorization") ?? "";
	return authorization.startsWith("Bearer ") ? contract.whoHas(authorization.slice(7)) : undefined;
}
const JSON_TYPE = { headers: { "Content-Type": "application/json" } };
const refuse = () => Response.json({ code: "invalid_token" }, { status: 401 });

function upgrade(req, server) {
	const at = req.url.indexOf("?token=");
	const user = at < 0 ? undefined : contract.whoHas(req.url.slice(at + 7));
	if (!user)
		return refuse();
	return server.upgrade(req, { data: { user, socket: null } }) ? undefined : new Response(null, { status: 400 });
}

const [, kind, where] = process.argv[2].match(/^(unix|tcp):(.*)$/);
const server = Bun.serve({
	...(kind === "unix" ? { unix: where } : { hostname: "127.0.0.1", port: Number(where) }),
	development: false,
	idleTimeout: 60,
	routes: {
		"/auth/register": { POST: async (req) => reply(await contract.register(await req.json())) },
		"/auth/login": { POST: async (req) => reply(await contract.login(await req.json())) },
		"/doctors": {
			GET: (req) => (signedIn(req) ? new Response(contract.listDoctors(), JSON_TYPE) : refuse()),
		},
		"/doctors/status": {
			POST: async (req) => {
				const user = signedIn(req);
				return user ? reply(contract.postStatus(user, await req.json())) : refuse();
			},
		},
		"/ws": upgrade,
	},
	fetch: () => new Response(null, { status: 404 }),
	websocket: {
		perMessageDeflate: false,
		maxPayloadLength: 65536,
		backpressureLimit: 1 << 30, // a list that is dropped would be a client that is told wrong
		idleTimeout: 0,
		open(socket) {
			socket.data.socket = socket;
			socket.subscribe("all");
			contract.connected(socket.data);
		},
		message(socket, text) {
			contract.received(socket.data, text);
		},
		close(socket) {
			contract.disconnected(socket.data);
		},
	},
});
console.log("ready");
